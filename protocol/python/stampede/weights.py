"""A state_dict as the tensors of an update: names, and in which types workers hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple
from weakref import WeakValueDictionary

from . import checks, wire
from .errors import ArgumentError, WeightUpdateError
from .nccl import NcclPusher as NcclPusher

if TYPE_CHECKING:
    import torch

    from .sharding import ShardPusher as ShardPusher

_FUSED = re.compile(r"(.*\.experts)\.(gate_up_proj|down_proj)(?:\.weight)?")
_WRAPPER, _WRAPPED = "base_model.model.", ".base_layer."  # PEFT's, around a model and its layers
_MAX_NAME, _MAX_RANK = 512, 4
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True, eq=False)
class DtypePlan:
    """In which types a worker holds its weights, and whether its head is tied: from HELLO.

    Equal plans are one object. Digests of weights can be compared only within a plan.
    """

    default: str
    exceptions: Tuple[Tuple[str, str], ...]  # (hub name, dtype), sorted
    tied_head: bool

    @staticmethod
    def of_hello(hello: wire.Message) -> "DtypePlan":
        names = wire.unpack_texts(hello["exception_names"], hello["exception_offsets"])
        dtypes = [] if hello["exception_dtypes"] is None else hello["exception_dtypes"].tolist()
        pairs = tuple(sorted((name, wire.DTYPE_NAMES[d]) for name, d in zip(names, dtypes)))
        key = (wire.DTYPE_NAMES[hello["dtype"]], pairs, hello["tied_head"])
        plan = _plans.get(key)
        if plan is None:
            plan = _plans[key] = DtypePlan(*key)
        return plan

    def dtype_of(self, name: str) -> str:
        """In which type a tensor is held; block types cannot be pushed."""
        dtype = dict(self.exceptions).get(name, self.default) if self.exceptions else self.default
        if dtype not in ("f32", "bf16", "f16"):
            raise WeightUpdateError(f"Tensor {name} is held as {dtype}, which cannot be pushed; a "
                                    "worker with --master was expected.", tensor=name)
        return dtype

    def __str__(self) -> str:
        return self.default + (f" but for {len(self.exceptions)} tensors" if self.exceptions
                               else "")


_plans: "WeakValueDictionary[Any, DtypePlan]" = WeakValueDictionary()


def check_state(state: Any) -> Dict[str, "torch.Tensor"]:
    """The names and tensors of a push, before anything is done with them."""
    import torch

    pairs = state.items() if isinstance(state, Mapping) else checks.items(
        "push_weights: state_dict", state, "a state_dict, or pairs of name and tensor")
    out: Dict[str, "torch.Tensor"] = {}
    for i, pair in enumerate(pairs):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise checks.refuse_kind(f"push_weights: entry {i} of state_dict", pair,
                                     "a pair of name and tensor")
        name, tensor = pair
        if len(checks.text(f"push_weights: name {i} of state_dict", name).encode()) > _MAX_NAME:
            raise ArgumentError(f"push_weights: name {i} of state_dict has over {_MAX_NAME} "
                                "bytes.")
        name = _unwrapped(name)
        if name in out:
            raise WeightUpdateError(f"Tensor {name} comes twice.", tensor=name)
        if not isinstance(tensor, torch.Tensor):
            raise WeightUpdateError(f"Entry {name} is a {type(tensor).__name__}, expected a "
                                    "torch tensor.", tensor=name)
        out[name] = tensor
    if not out:
        raise ArgumentError("push_weights: state_dict is empty, expected a tensor or more.")
    return out


def _unwrapped(name: str) -> str:
    """Transformers' name of a tensor of a model that PEFT has put adapters into."""
    if ".lora_" in name:
        raise WeightUpdateError(f"Tensor {name} is an adapter's: expected the weights that it was "
                                "merged into (PEFT's merge_adapter), and none with lora_ in their "
                                "names.", tensor=name)
    return name[name.startswith(_WRAPPER) * len(_WRAPPER):].replace(_WRAPPED, ".")


def hub_tensors(state: Mapping[str, "torch.Tensor"]) -> Dict[str, "torch.Tensor"]:
    """Transformers' names to hub names: fused experts become one tensor per expert (views).

    gate_up_proj (experts, 2 * inner, hidden) is w1 over w3, down_proj (experts, hidden, inner) is
    w2, as in transformers' Lfm2MoeExperts.
    """
    out: Dict[str, "torch.Tensor"] = {}
    for name, tensor in state.items():
        for hub_name, part in _parts(name, tensor):
            if hub_name in out:
                raise WeightUpdateError(f"Tensor {hub_name} comes twice, as {name} too.",
                                        tensor=hub_name)
            out[hub_name] = part
    return out


def _parts(name: str, tensor: "torch.Tensor") -> Iterator[Tuple[str, "torch.Tensor"]]:
    experts = expert_parts(name, tuple(tensor.shape))
    if experts is None:
        yield name, tensor
        return
    for hub_name, expert, first, last in experts:
        yield hub_name, tensor[expert, first:last]


def expert_parts(name: str, shape: Tuple[int, ...]) -> Optional[List[Tuple[str, int, int, int]]]:
    """Of a fused tensor, by the name and shape that it has: hub name, expert, first row and the row
    behind the last one of each part. None: it is no fused tensor."""
    fused = _FUSED.fullmatch(name)
    if fused is None:
        return None
    stem, kind = fused.groups()
    if len(shape) != 3 or (kind == "gate_up_proj" and shape[1] % 2):
        raise WeightUpdateError(f"Tensor {name} has shape {shape}, expected "
                                "(experts, rows, columns).", tensor=name)
    half, rows = shape[1] // 2, shape[1]
    kinds = [("w2", 0, rows)] if kind == "down_proj" else [("w1", 0, half), ("w3", half, rows)]
    return [(f"{stem}.{expert}.{part}.weight", expert, first, last)
            for expert in range(shape[0]) for part, first, last in kinds]


def check_tensor(name: str, tensor: "torch.Tensor") -> "torch.Tensor":
    """Refuses what cannot be pushed, before anything is done with it."""
    if tensor.device.type == "meta":
        raise WeightUpdateError(f"Tensor {name} could not be read: it is on the meta device and "
                                "has no values.", tensor=name)
    if not tensor.is_floating_point():
        raise WeightUpdateError(f"Tensor {name} has type {tensor.dtype}, expected floating point.",
                                tensor=name)
    if tensor.dim() > _MAX_RANK:
        raise WeightUpdateError(f"Tensor {name} has {tensor.dim()} dimensions, at most {_MAX_RANK} "
                                "are allowed.", tensor=name)
    if tensor.numel() == 0:
        raise WeightUpdateError(f"Tensor {name} is empty.", tensor=name)
    return tensor.detach().contiguous()


def __getattr__(name: str) -> Any:
    if name == "ShardPusher":  # needs torch, which who does not push may lack
        from .sharding import ShardPusher

        return ShardPusher
    raise AttributeError(f"module {__name__} has no attribute {name}")
