"""Weights by NCCL: this process is rank 0 of a communicator, and broadcasts the stream of an update
to the workers' devices. NCCL and CUDA's runtime are opened as shared objects: those that this
process's torch uses, so that nothing is linked twice."""

from __future__ import annotations

import ctypes
import logging
import re
import threading
import time
from functools import partial
from typing import Any, Callable, List, Optional, Tuple

from . import checks, wire
from .deltas import Stream
from .errors import ArgumentError, WeightUpdateError

log = logging.getLogger("stampede")
_LEAST_VERSION = 21800  # its configuration has what is needed here
_IN_PROGRESS, _NOT_READY = 7, 600  # ncclInProgress, cudaErrorNotReady
_UINT8 = 1  # ncclUint8
_NON_BLOCKING, _NO_TIMING, _TO_DEVICE = 1, 2, 1
_UNDEFINED = -(1 << 31)
_NAP_S = 0.0002


class _Id(ctypes.Structure):
    _fields_ = [("internal", ctypes.c_ubyte * wire.NCCL_ID_BYTES)]


class _Config(ctypes.Structure):
    """ncclConfig_t as of 2.18; later ones have more behind it, and take this by its size."""

    _fields_ = [("size", ctypes.c_size_t), ("magic", ctypes.c_uint), ("version", ctypes.c_uint),
                ("blocking", ctypes.c_int), ("cga_cluster_size", ctypes.c_int),
                ("min_ctas", ctypes.c_int), ("max_ctas", ctypes.c_int),
                ("net_name", ctypes.c_char_p), ("split_share", ctypes.c_int)]


def _loaded(name: str) -> Optional[str]:
    """The path of a library that this process has open already."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        match = re.search(rf"^\S+(?: +\S+){{4}} +(/.*/{name}\.so[^/]*)$", maps.read(), re.M)
    return match.group(1) if match else None


def _open(given: Optional[str], name: str, sonames: Tuple[str, ...]) -> ctypes.CDLL:
    candidates = [given] if given else [*filter(None, [_loaded(name)]), *sonames]
    why = ""
    for path in candidates:
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            why = str(error)
    raise ArgumentError(f"NcclPusher: {name} cannot be opened: {why}.")


class _Abandoned(Exception):
    """abort() was called."""


class NcclPusher:
    """Rank 0 of the communicator by which `push_weights(..., nccl=pusher)` sends an update once to
    all workers together. It is made when it is used first, and anew when a rank left or failed.

    `library` and `runtime` are the files of NCCL and of CUDA's runtime, by default those of torch;
    workers must have the same version of NCCL (their STAMPEDE_NCCL names its file). A join or a
    broadcast that makes no progress for `deadline_s` fails the push. The stream goes in buckets of
    `bucket_bytes`; two of them are on the device. `max_blocks` bounds the blocks of NCCL's kernels.
    """

    def __init__(self, library: Optional[str] = None, runtime: Optional[str] = None,
                 device: int = 0, deadline_s: float = 60.0, bucket_bytes: int = 64 << 20,
                 max_blocks: int = 4) -> None:
        self.deadline_s = checks.seconds("NcclPusher: deadline_s", deadline_s)
        self.bucket_bytes = checks.integer("NcclPusher: bucket_bytes", bucket_bytes, 64, 1 << 40)
        self._device = checks.integer("NcclPusher: device", device, 0, checks.I31)
        self._max_blocks = checks.integer("NcclPusher: max_blocks", max_blocks, 1, 32)
        self._nccl = _open(library, "libnccl", ("libnccl.so.2",))
        if runtime is None and library is not None and hasattr(self._nccl, "cudaMalloc"):
            runtime = library  # one file that stands in for both
        self._cuda = _open(runtime, "libcudart", ("libcudart.so.13", "libcudart.so.12"))
        self._nccl.ncclGetErrorString.restype = ctypes.c_char_p
        self._nccl.ncclGetLastError.restype = ctypes.c_char_p
        self._nccl.ncclGetLastError.argtypes = [ctypes.c_void_p]
        self._cuda.cudaGetErrorString.restype = ctypes.c_char_p
        version = ctypes.c_int()
        self._nccl.ncclGetVersion(ctypes.byref(version))
        self.version = version.value
        if self.version < _LEAST_VERSION:
            raise ArgumentError(f"NcclPusher: NCCL {self.version} is too old; 2.18 or later is "
                                "needed.")
        # Incarnations of ranks 1, 2, ... of the communicator that the next push may use: of the I/O
        # thread.
        self.members: Tuple[int, ...] = ()
        self._is_closing = False
        self._lock = threading.Lock()  # one push at a time; for what follows
        self._comm = ctypes.c_void_p()
        self._stream = ctypes.c_void_p()
        self._buckets: List[Tuple[ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]] = []

    def new_id(self) -> bytes:
        """A communicator's id, for NCCL_JOIN and run()."""
        unique = _Id()
        self._check(self._nccl.ncclGetUniqueId(ctypes.byref(unique)), "making an id")
        return bytes(unique)

    def run(self, stream: Stream, join: Optional["Join"], start: threading.Event,
            is_abandoned: Callable[[], bool], tell: Callable[[Exception], None]) -> None:
        """Joins, where `join` says a new communicator; waits for `start`; broadcasts. On a thread
        of its own. Leaves the communicator where it is abandoned, or where it fails, behind
        tell(error)."""
        with self._lock:
            try:
                if not self._buckets:
                    self._open_device()
                self._call("cudaSetDevice", self._device)
                if join is not None:
                    self._join(join, is_abandoned)
                elif not self._comm:
                    raise WeightUpdateError("The communicator of NCCL was left; push again.")
                self._until(start.is_set, "workers to be ready", is_abandoned)
                self._broadcast(stream, is_abandoned)
            except _Abandoned:
                self._leave()
            except Exception as error:
                tell(error)
                self._leave()
                raise

    def close(self) -> None:
        """Ends a push that is under way, leaves the communicator and gives back what it has on the
        device."""
        self._is_closing = True
        with self._lock:
            self._is_closing = False
            self._leave()
            self.members = ()
            for host, device, event in self._buckets:
                self._cuda.cudaFreeHost(host)
                self._cuda.cudaFree(device)
                self._cuda.cudaEventDestroy(event)
            if self._stream:
                self._cuda.cudaStreamDestroy(self._stream)
            self._buckets, self._stream = [], ctypes.c_void_p()

    # --- inside: the lock is held ---

    def _check(self, status: int, what: str) -> None:
        if status not in (0, _IN_PROGRESS):
            text = self._nccl.ncclGetErrorString(status).decode()
            more = (self._nccl.ncclGetLastError(self._comm) or b"").decode()
            raise WeightUpdateError(f"NCCL failed at {what}: {text}{': ' if more else ''}{more}.")

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._cuda, function)(*arguments)
        if status:
            raise WeightUpdateError(f"{function} failed: "
                                    f"{self._cuda.cudaGetErrorString(status).decode()}.")

    def _until(self, condition: Callable[[], bool], what: str,
               is_abandoned: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.deadline_s
        while not condition():
            if self._is_closing:
                raise WeightUpdateError("The NcclPusher was closed.")
            if is_abandoned():
                raise _Abandoned
            if time.monotonic() > deadline:
                raise WeightUpdateError(f"NCCL waited {self.deadline_s:g} s for {what}.")
            time.sleep(_NAP_S)

    def _open_device(self) -> None:
        self._call("cudaSetDevice", self._device)
        self._call("cudaStreamCreateWithFlags", ctypes.byref(self._stream), _NON_BLOCKING)
        for _ in range(2):
            bucket = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
            size = ctypes.c_size_t(self.bucket_bytes)
            self._call("cudaHostAlloc", ctypes.byref(bucket[0]), size, 0)
            self._call("cudaMalloc", ctypes.byref(bucket[1]), size)
            self._call("cudaEventCreateWithFlags", ctypes.byref(bucket[2]), _NO_TIMING)
            self._buckets.append(bucket)

    def _settled(self) -> bool:
        """Whether the call before has ended."""
        status = ctypes.c_int()
        self._check(self._nccl.ncclCommGetAsyncError(self._comm, ctypes.byref(status)), "polling")
        self._check(status.value, "sending weights")
        return status.value != _IN_PROGRESS

    def _join(self, join: "Join", is_abandoned: Callable[[], bool]) -> None:
        self._leave()
        log.info("Joining NCCL with %d workers; without progress for %g s it is left.",
                 len(join.members), self.deadline_s)
        config = _Config(ctypes.sizeof(_Config), 0xCAFEBEEF, _LEAST_VERSION, 0, _UNDEFINED,
                         _UNDEFINED, self._max_blocks, None, _UNDEFINED)
        self._check(self._nccl.ncclCommInitRankConfig(
            ctypes.byref(self._comm), len(join.members) + 1, _Id.from_buffer_copy(join.id), 0,
            ctypes.byref(config)), "joining")
        self._until(self._settled, f"all {len(join.members) + 1} ranks to join", is_abandoned)

    def _broadcast(self, stream: Stream, is_abandoned: Callable[[], bool]) -> None:
        for i, offset in enumerate(range(0, stream.n_bytes, self.bucket_bytes)):
            host, device, event = self._buckets[i % 2]
            self._until(partial(self._is_over, event), "a broadcast", is_abandoned)
            data = stream.read(offset, self.bucket_bytes)
            assert data is not None and host.value is not None
            ctypes.memmove(host.value, data.ctypes.data, data.size)
            size = ctypes.c_size_t(data.size)
            self._call("cudaMemcpyAsync", device, host, size, _TO_DEVICE, self._stream)
            self._check(self._nccl.ncclBroadcast(device, device, size, _UINT8, 0, self._comm,
                                                 self._stream), "a broadcast")
            self._until(self._settled, "a broadcast to begin", is_abandoned)
            self._call("cudaEventRecord", event, self._stream)
        for _, _, event in self._buckets:
            self._until(partial(self._is_over, event), "a broadcast", is_abandoned)

    def _is_over(self, event: ctypes.c_void_p) -> bool:
        """Whether what was recorded has happened; a rank that failed meanwhile raises."""
        if self._cuda.cudaEventQuery(event) == _NOT_READY:
            self._settled()
            return False
        self._call("cudaEventQuery", event)
        return True

    def _leave(self) -> None:
        if self._comm:
            self._nccl.ncclCommAbort(self._comm)
            self._cuda.cudaStreamSynchronize(self._stream)
        self._comm = ctypes.c_void_p()


class Join:
    """A communicator that is to be made."""

    def __init__(self, unique: bytes, members: Tuple[int, ...]) -> None:
        self.id, self.members = unique, members
