"""A state_dict as the tensors of an update: names, rounding, checksums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple
from weakref import WeakValueDictionary

import numpy as np
import xxhash

from . import checks, wire
from .errors import ArgumentError, WeightUpdateError

if TYPE_CHECKING:
    import torch

_FUSED = re.compile(r"(.*\.experts)\.(gate_up_proj|down_proj)(?:\.weight)?")
_MAX_NAME, _MAX_RANK = 512, 4
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


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

    def __str__(self) -> str:
        return self.default + (f" but for {len(self.exceptions)} tensors" if self.exceptions
                               else "")


_plans: "WeakValueDictionary[Any, DtypePlan]" = WeakValueDictionary()


class Entry(NamedTuple):
    """One tensor, rounded to a worker's type."""

    name: str  # hub name
    dtype: str
    shape: Tuple[int, ...]
    data: np.ndarray  # (bytes,) uint8
    hash: int  # xxh3-64 of data


Table = Dict[str, Entry]


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
        if name in out:
            raise WeightUpdateError(f"Tensor {name} comes twice.", tensor=name)
        if not isinstance(tensor, torch.Tensor):
            raise WeightUpdateError(f"Entry {name} is a {type(tensor).__name__}, expected a "
                                    "torch tensor.", tensor=name)
        out[name] = tensor
    if not out:
        raise ArgumentError("push_weights: state_dict is empty, expected a tensor or more.")
    return out


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
    fused = _FUSED.fullmatch(name)
    if fused is None:
        yield name, tensor
        return
    stem, kind = fused.groups()
    if tensor.dim() != 3 or (kind == "gate_up_proj" and tensor.shape[1] % 2):
        raise WeightUpdateError(f"Tensor {name} has shape {tuple(tensor.shape)}, expected "
                                "(experts, rows, columns).", tensor=name)
    for expert in range(tensor.shape[0]):
        if kind == "down_proj":
            yield f"{stem}.{expert}.w2.weight", tensor[expert]
        else:
            half = tensor.shape[1] // 2
            yield f"{stem}.{expert}.w1.weight", tensor[expert, :half]
            yield f"{stem}.{expert}.w3.weight", tensor[expert, half:]


class Snapshot:
    """The values of one policy version: what was pushed, over what older pushes left."""

    def __init__(self, version: int, state: Mapping[str, "torch.Tensor"],
                 older: Optional["Snapshot"] = None) -> None:
        self.version = version
        self._tensors: Dict[str, "torch.Tensor"] = dict(older._tensors) if older else {}
        # A tied head is one tensor with two names; what counts is what was pushed last under
        # either, not what an older push had under the other.
        self._tied: Dict[str, "torch.Tensor"] = dict(older._tied) if older else {}
        self._tables: Dict[DtypePlan, Table] = {}
        whole = {name: t.full_tensor() if hasattr(t, "full_tensor") else t
                 for name, t in state.items()}
        new = {name: _copy(name, tensor) for name, tensor in hub_tensors(whole).items()}
        self._tensors.update(new)
        pushed = {name: new[name] for name in (_EMBEDDING, _HEAD) if name in new}
        self._tied = pushed or self._tied

    def table(self, plan: DtypePlan) -> Table:
        """Every tensor in the types of `plan`, rounded to nearest even; made once per plan."""
        if plan not in self._tables:
            self._tables[plan] = self._build(plan)
        return self._tables[plan]

    def has_table(self, plan: DtypePlan) -> bool:
        return plan in self._tables

    def _resident(self, plan: DtypePlan) -> Dict[str, "torch.Tensor"]:
        """The tensors that a worker holds."""
        import torch

        if not plan.tied_head or not self._tied:
            return self._tensors
        tied = list(self._tied.values())
        if not all(torch.equal(tied[0], other) for other in tied):
            raise WeightUpdateError(f"Tensor {_HEAD} differs from {_EMBEDDING}, but the worker's "
                                    "head is tied.", tensor=_HEAD)
        out = {name: value for name, value in self._tensors.items() if name != _HEAD}
        out[_EMBEDDING] = tied[0]
        return out

    def _build(self, plan: DtypePlan) -> Table:
        import torch

        types = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
        exceptions = dict(plan.exceptions)
        out: Table = {}
        for name, value in self._resident(plan).items():
            dtype = exceptions.get(name, plan.default)
            if dtype not in types:
                raise WeightUpdateError(f"Tensor {name} is held as {dtype}, which cannot be "
                                        "pushed.", tensor=name)
            rounded = value.to(types[dtype])
            if rounded.dtype != value.dtype and not bool(torch.isfinite(rounded).all()):
                raise WeightUpdateError(f"Tensor {name} has values beyond {dtype}.", tensor=name)
            data = rounded.reshape(-1).view(torch.uint8).numpy()
            out[name] = Entry(name, dtype, tuple(value.shape), data,
                              xxhash.xxh3_64_intdigest(data.data))
        return out


def _copy(name: str, tensor: "torch.Tensor") -> "torch.Tensor":
    """A clone: training goes on while workers fetch, and a late one fetches much later."""
    import torch

    try:
        value = tensor.detach().to("cpu", copy=True).contiguous()
    except Exception as error:  # of the device, or a tensor without values
        raise WeightUpdateError(f"Tensor {name} could not be read: {error}", tensor=name) from error
    if not value.is_floating_point():
        raise WeightUpdateError(f"Tensor {name} has type {value.dtype}, expected floating point.",
                                tensor=name)
    if value.dim() > _MAX_RANK:
        raise WeightUpdateError(f"Tensor {name} has {value.dim()} dimensions, at most {_MAX_RANK} "
                                "are allowed.", tensor=name)
    if value.numel() == 0:
        raise WeightUpdateError(f"Tensor {name} is empty.", tensor=name)
    if not bool(torch.isfinite(value).all()):
        raise WeightUpdateError(f"Tensor {name} holds a value that is not finite.", tensor=name)
    return value


def begin_fields(update: int, base: int, version: int, table: Table,
                 held: Optional[Table]) -> Dict[str, Any]:
    """WEIGHTS_BEGIN: a tensor whose bytes the worker holds already (`held`) is skipped."""
    entries = list(table.values())
    n = len(entries)
    shapes = np.zeros((n, 4), "<i8")
    skip = np.array([held is not None and e.name in held and held[e.name].hash == e.hash
                     for e in entries], bool)
    for row, e in zip(shapes, entries):
        row[:len(e.shape)] = e.shape
    sizes = np.array([0 if s else e.data.size for s, e in zip(skip, entries)], "<u8")
    hashes = np.array([0 if s else e.hash for s, e in zip(skip, entries)], "<u8")
    names, name_offsets = wire.pack_texts([e.name.encode() for e in entries])
    return {
        "update": update, "base": base, "version": version, "total_bytes": int(sizes.sum()),
        "names": names, "name_offsets": name_offsets,
        "dtypes": np.array([wire.DTYPES[e.dtype][0] for e in entries], "<u1"),
        "ranks": np.array([len(e.shape) for e in entries], "<u1"), "shapes": shapes,
        "modes": np.where(skip, wire.TENSOR_SKIP, wire.TENSOR_DENSE).astype("<u1"),
        "bytes": sizes, "hashes": hashes,
    }


def chunk_of(entries: List[Entry], tensor: int, offset: int, n_bytes: int) -> Optional[np.ndarray]:
    """The bytes that a WEIGHTS_PULL asks for, or None when there are none."""
    if tensor >= len(entries) or offset >= entries[tensor].data.size:
        return None
    return entries[tensor].data[offset:offset + min(n_bytes, wire.MAX_CHUNK)]
