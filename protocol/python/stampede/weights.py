"""A state_dict as the tensors of an update: names, rounding, checksums."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import xxhash

from . import wire
from .errors import WeightUpdateError

if TYPE_CHECKING:
    import torch

_FUSED = re.compile(r"(.*\.experts)\.(gate_up_proj|down_proj)(?:\.weight)?")
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


class DtypePlan(NamedTuple):
    """In which types a worker holds its weights, and whether its head is tied: from HELLO."""

    default: str
    exceptions: Tuple[Tuple[str, str], ...]  # (hub name, dtype), sorted
    tied_head: bool

    @staticmethod
    def of_hello(hello: wire.Message) -> "DtypePlan":
        names = wire.unpack_texts(hello["exception_names"], hello["exception_offsets"])
        dtypes = [] if hello["exception_dtypes"] is None else hello["exception_dtypes"].tolist()
        pairs = sorted((name, wire.DTYPE_NAMES[d]) for name, d in zip(names, dtypes))
        return DtypePlan(wire.DTYPE_NAMES[hello["dtype"]], tuple(pairs), hello["tied_head"])


class Entry(NamedTuple):
    """One tensor, rounded to a worker's type."""

    name: str  # hub name
    dtype: str
    shape: Tuple[int, ...]
    data: np.ndarray  # (bytes,) uint8
    hash: int  # xxh3-64 of data


Table = Dict[str, Entry]


def hub_tensors(state: Mapping[str, "torch.Tensor"]) -> Dict[str, "torch.Tensor"]:
    """Transformers' names to hub names: fused experts become one tensor per expert (views).

    gate_up_proj (experts, 2 * inner, hidden) is w1 over w3, down_proj (experts, hidden, inner) is
    w2, as in transformers' Lfm2MoeExperts.
    """
    out: Dict[str, "torch.Tensor"] = {}
    for name, tensor in state.items():
        fused = _FUSED.fullmatch(name)
        if fused is None:
            out[name] = tensor
            continue
        stem, kind = fused.groups()
        if tensor.dim() != 3 or (kind == "gate_up_proj" and tensor.shape[1] % 2):
            raise WeightUpdateError(f"Tensor {name} has shape {tuple(tensor.shape)}, expected "
                                    "(experts, rows, columns).", tensor=name)
        for expert in range(tensor.shape[0]):
            if kind == "down_proj":
                out[f"{stem}.{expert}.w2.weight"] = tensor[expert]
            else:
                half = tensor.shape[1] // 2
                out[f"{stem}.{expert}.w1.weight"] = tensor[expert, :half]
                out[f"{stem}.{expert}.w3.weight"] = tensor[expert, half:]
    return out


class Snapshot:
    """The values of one policy version: what was pushed, over what older pushes left."""

    def __init__(self, version: int, state: Mapping[str, Any],
                 older: Optional["Snapshot"] = None) -> None:
        import torch

        self.version = version
        self._tensors: Dict[str, "torch.Tensor"] = dict(older._tensors) if older else {}
        self._tables: Dict[DtypePlan, Table] = {}
        for name, tensor in state.items():
            if not isinstance(tensor, torch.Tensor):
                raise WeightUpdateError(f"Entry {name} is a {type(tensor).__name__}, expected a "
                                        "torch tensor.", tensor=name)
        whole = {name: t.full_tensor() if hasattr(t, "full_tensor") else t
                 for name, t in state.items()}
        for name, tensor in hub_tensors(whole).items():
            # A clone: training goes on while workers fetch, and a late one fetches much later.
            value = tensor.detach().to("cpu", copy=True).contiguous()
            if not value.is_floating_point():
                raise WeightUpdateError(f"Tensor {name} has type {value.dtype}, expected floating "
                                        "point.", tensor=name)
            if not bool(torch.isfinite(value).all()):
                raise WeightUpdateError(f"Tensor {name} holds a value that is not finite.",
                                        tensor=name)
            self._tensors[name] = value

    def table(self, plan: DtypePlan) -> Table:
        """Every tensor in the types of `plan`, rounded to nearest even; made once per plan."""
        if plan not in self._tables:
            self._tables[plan] = self._build(plan)
        return self._tables[plan]

    def has_table(self, plan: DtypePlan) -> bool:
        return plan in self._tables

    def _build(self, plan: DtypePlan) -> Table:
        import torch

        types = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
        exceptions = dict(plan.exceptions)
        out: Table = {}
        for name, value in self._tensors.items():
            if name == _HEAD and plan.tied_head:
                embedding = self._tensors.get(_EMBEDDING)
                if embedding is not None and not torch.equal(embedding, value):
                    raise WeightUpdateError(f"Tensor {_HEAD} differs from {_EMBEDDING}, but the "
                                            "worker's head is tied.", tensor=_HEAD)
                if embedding is not None:
                    continue
                name = _EMBEDDING
            dtype = exceptions.get(name, plan.default)
            if dtype not in types:
                raise WeightUpdateError(f"Tensor {name} is held as {dtype}, which cannot be "
                                        "pushed.", tensor=name)
            rounded = value.to(types[dtype])
            if dtype == "f16" and not bool(torch.isfinite(rounded).all()):
                raise WeightUpdateError(f"Tensor {name} has values beyond float16.", tensor=name)
            data = rounded.reshape(-1).view(torch.uint8).numpy()
            out[name] = Entry(name, dtype, tuple(value.shape), data,
                              xxhash.xxh3_64_intdigest(data))
        return out


def begin_fields(update: int, base: int, version: int, table: Table,
                 held: Optional[Table]) -> Dict[str, Any]:
    """WEIGHTS_BEGIN: a tensor whose bytes the worker holds already (`held`) is skipped."""
    entries = list(table.values())
    n = len(entries)
    shapes = np.zeros((n, 4), "<i8")
    skip = np.array([held is not None and e.name in held and held[e.name].hash == e.hash
                     for e in entries], bool)
    for row, e in zip(shapes, entries):
        if len(e.shape) > 4:
            raise WeightUpdateError(f"Tensor {e.name} has {len(e.shape)} dimensions, at most 4 "
                                    "are allowed.", tensor=e.name)
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
