"""A directory that trainer and workers share, as a way of weights: each stream is written once, for
any number of workers, as a file in the safetensors format.

The data of a file is the stream, byte for byte. A dense tensor has its hub name; a sparse one is
NAME.codes, NAME.anchors and NAME.values; "padding.N" are the bytes between them, which mean
nothing. The metadata say run, epoch, version, base (the version that sparse tensors change) and,
as JSON in "tensors", each tensor's mode, shape and check value.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import os
import re
import secrets
import stat
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import xxhash

from . import wire
from .deltas import Change, Stream
from .errors import ArgumentError
from .peers import Address, Update, Worker

log = logging.getLogger("stampede")
_ID_FILE = "stampede-directory"  # by what it says two machines see that they share a directory
_ID = re.compile(r"[0-9a-f]{32}")
_PIECE = 8 << 20  # bytes that are written at a time
_DTYPES = {"f32": "F32", "bf16": "BF16", "f16": "F16"}
_CODES = {1: "U8", 2: "U16", 4: "U32"}
# stampede-RUN-EPOCH-INSTANCE and what it is: a file of weights, one that is being written, a lock.
_OURS = re.compile(r"stampede-([0-9a-f]{16})-(\d{1,20})-([0-9a-f]{16})"
                   r"(\.lock|-v\d+-\d+\.safetensors(\.part)?)")


class File(NamedTuple):
    """A stream in the directory: the fields of WEIGHTS_BEGIN, and its size."""

    name: str
    header_bytes: int
    header_hash: int
    n_bytes: int


class Abandoned(Exception):
    """Nobody wants the file any more."""


def header_of(stream: Stream, metadata: Dict[str, str]) -> bytes:
    """What stands in the file before the stream."""
    tensors = {c.name: {"mode": "sparse" if c.mode == wire.TENSOR_SPARSE else "dense",
                        "shape": list(c.shape), "check": f"{c.check:016x}"}
               for c in stream.changes}
    out: Dict[str, Any] = {"__metadata__": {**metadata, "tensors": json.dumps(tensors)}}
    at = n_paddings = 0

    def add(name: str, dtype: str, shape: List[int], n_bytes: int) -> None:
        nonlocal at
        out[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n_bytes]}
        at += n_bytes

    for change in stream.changes:
        for name, dtype, shape, n_bytes in _tensors(change):
            add(name, dtype, shape, n_bytes)
            if n_bytes % wire.ALIGNMENT:
                padding = wire.ALIGNMENT - n_bytes % wire.ALIGNMENT
                add(f"padding.{n_paddings}", "U8", [padding], padding)
                n_paddings += 1
    text = json.dumps(out, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % wire.ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _tensors(change: Change) -> Iterator[Tuple[str, str, List[int], int]]:
    """Name, type, shape and bytes of each part of a change."""
    sizes = [part.n_bytes for part in change.parts]
    if change.mode != wire.TENSOR_SPARSE:
        yield change.name, _DTYPES[change.dtype], list(change.shape), sizes[0]
        return
    yield f"{change.name}.codes", _CODES[change.code_bytes], [change.n_codes], sizes[0]
    yield f"{change.name}.anchors", "U64", [sizes[1] // 16, 2], sizes[1]
    yield f"{change.name}.values", _DTYPES[change.dtype], [change.n_values], sizes[2]


class Directory:
    """The directory as files. write() and delete() may be called on any thread."""

    def __init__(self, path: str, run: str, epoch: int) -> None:
        self.path, self._run, self._epoch = path, run, epoch
        self._run_hash = xxhash.xxh3_64_hexdigest(run.encode())
        self._prefix = f"stampede-{self._run_hash}-{epoch}-{secrets.token_hex(8)}"
        self._numbers = itertools.count(1)  # of files; any thread takes the next one
        self._is_closed = False
        try:
            self.id = self._shared_id()
            self._clean()
            self._lock = self._locked()
        except OSError as error:
            raise ArgumentError(f"Trainer: weights_dir {path} cannot be used: {error}.") from error

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)

    # --- whose it is ---

    def _shared_id(self) -> str:
        path = self._at(_ID_FILE)
        if not os.path.lexists(path):
            part = self._at(f"{self._prefix}.lock")  # a name that is cleaned up
            self._put(part, f"{secrets.token_hex(16)}\n".encode())
            try:
                os.link(part, path)  # fails where another trainer was faster
            except FileExistsError:
                os.unlink(part)
            except OSError:  # a file system without links
                os.rename(part, path)
            else:
                os.unlink(part)
        with open(path, encoding="ascii", errors="replace") as file:
            told = file.read(64).strip()
        if not _ID.fullmatch(told):
            raise ArgumentError(f"Trainer: weights_dir {self.path} has a file {_ID_FILE} that is "
                                "no id; 32 digits of base 16 were expected.")
        return told

    @staticmethod
    def _put(path: str, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _locked(self) -> int:
        """A lock that is held as long as this process lives, with the machine's boot in it: others
        on this machine see by it that we are dead."""
        path = self._at(f"{self._prefix}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, _boot().encode())
        except OSError:
            pass  # a file system without locks: only trainers of this run clean up
        return descriptor

    def _clean(self) -> None:
        """Removes what dead trainers left: those of this run with a lower epoch, and those that ran
        on this machine and hold their lock no more. Nothing else is touched."""
        left: Dict[str, List[str]] = {}
        for name in os.listdir(self.path):
            match = _OURS.fullmatch(name)
            if match is None or not stat.S_ISREG(os.lstat(self._at(name)).st_mode):
                continue
            left.setdefault("-".join(match.group(1, 2, 3)), []).append(name)
        for owner, names in left.items():
            run, epoch, _ = owner.split("-")
            if (run == self._run_hash and int(epoch) < self._epoch) or \
                    self._is_dead(f"stampede-{owner}.lock"):
                log.info("%d files of a trainer that has ended are removed from %s.", len(names),
                         self.path)
                for name in sorted(names, key=lambda n: n.endswith(".lock")):  # the lock goes last
                    self.delete(name)

    def _is_dead(self, lock: str) -> bool:
        try:
            descriptor = os.open(self._at(lock), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.read(descriptor, 64) == _boot().encode()
        except OSError:
            return False
        finally:
            os.close(descriptor)

    # --- files ---

    def write(self, stream: Stream, version: int, base: Optional[int],
              is_wanted: Callable[[], bool]) -> File:
        """Writes a stream under another name and gives it its own when it is on the disk. Raises
        OSError where it cannot, and Abandoned where nobody wants it any more."""
        name = f"{self._prefix}-v{version}-{next(self._numbers)}.safetensors"
        part = self._at(f"{name}.part")
        metadata = {"format": "pt", "stampede": "1", "run": self._run, "epoch": str(self._epoch),
                    "version": str(version)}
        if base is not None:
            metadata["base"] = str(base)
        header = header_of(stream, metadata)
        if len(header) > wire.MAX_FILE_HEADER:
            raise OSError(f"its header has {len(header)} bytes, at most {wire.MAX_FILE_HEADER} "
                          "are read")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            self._write_all(descriptor, header, stream, is_wanted)
            os.close(descriptor)
            descriptor = -1
            os.rename(part, self._at(name))
            self._sync()
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            self.delete(f"{name}.part")
            raise
        return File(name, len(header), xxhash.xxh3_64_intdigest(header),
                    len(header) + stream.n_bytes)

    def _write_all(self, descriptor: int, header: bytes, stream: Stream,
                   is_wanted: Callable[[], bool]) -> None:
        _write(descriptor, memoryview(header))
        for offset in range(0, stream.n_bytes, _PIECE):
            if self._is_closed or not is_wanted():
                raise Abandoned
            data = stream.read(offset, _PIECE)
            assert data is not None
            _write(descriptor, memoryview(data))
        os.fsync(descriptor)

    def _sync(self) -> None:
        """The names of files, too, are on the disk."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def delete(self, name: str) -> None:
        try:
            os.unlink(self._at(name))
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s cannot be removed: %s.", self._at(name), error)

    def close(self) -> None:
        """Removes what this trainer wrote. What is being written loses its name."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            for name in os.listdir(self.path):
                if name.startswith(f"{self._prefix}-"):
                    self.delete(name)
        except OSError as error:
            log.warning("%s cannot be read: %s.", self.path, error)
        self.delete(f"{self._prefix}.lock")
        os.close(self._lock)


def _write(descriptor: int, data: "memoryview") -> None:
    while data:
        data = data[os.write(descriptor, data):]


def _boot() -> str:
    """Which boot of which machine this is."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


class _Entry:
    """A stream that lies in the directory, or will."""

    def __init__(self) -> None:
        self.file: Optional[File] = None  # None: it is being written, or could not be
        self.is_over = False  # of the writing
        self.is_wanted = True
        self.waiting: Dict[Address, Callable[[Any], None]] = {}


Key = Tuple[Any, ...]


class Shelf:
    """Which streams lie in the directory, and for whom: of the I/O thread."""

    def __init__(self, directory: Optional[Directory], in_background: Callable[..., None]) -> None:
        self._directory, self._in_background = directory, in_background
        self._entries: Dict[Key, _Entry] = {}

    def offer(self, update: Update, worker: Worker,
              again: Callable[[Any], None]) -> Optional[Dict[str, Any]]:
        """Fields of the WEIGHTS_BEGIN of an offer; none where the worker pulls, since it does not
        share the directory or its file could not be written. None: the file is being written, and
        `again` is called then."""
        if self._directory is None or worker.directory != self._directory.id or \
                not update.stream.n_bytes:
            return {}
        entry = self._entries.get(update.key)
        if entry is None:
            entry = self._entries[update.key] = _Entry()
            self._begin(entry, update)
        if not entry.is_over:
            entry.waiting[worker.address] = again
            return None
        if entry.file is None:
            return {}
        return {"transport": wire.TRANSPORT_DIRECTORY, "file": entry.file.name,
                "header_bytes": entry.file.header_bytes, "header_hash": entry.file.header_hash}

    def has(self, update: Update) -> bool:
        """Whether it lies in a file."""
        entry = self._entries.get(update.key)
        return entry is not None and entry.file is not None

    def _begin(self, entry: _Entry, update: Update) -> None:
        directory = self._directory
        assert directory is not None

        def work() -> None:
            entry.file = directory.write(update.stream, update.version,
                                         None if update.is_all else update.base,
                                         lambda: entry.is_wanted)

        def done(error: Any) -> None:
            entry.is_over = True
            if not entry.is_wanted:
                self._remove(entry)
                return
            if error is not None:
                log.warning("Version %d cannot be written to %s: %s. It goes by the bulk socket.",
                            update.version, directory.path, error)
            for again in list(entry.waiting.values()):
                again(None)

        self._in_background(work, done)

    def _remove(self, entry: _Entry) -> None:
        directory, file = self._directory, entry.file
        if directory is not None and file is not None:
            self._in_background(lambda: directory.delete(file.name), lambda error: None)

    def keep(self, used: Set[Key], version: Optional[int], is_pushing: bool) -> None:
        """Removes the files of which no worker is in need: none reads them (`used`), and they are
        not of `version`: all that it needs while it is pushed, and after that what anyone who
        comes is offered."""
        for key, entry in list(self._entries.items()):
            if key not in used and not (key[0] == version and (is_pushing or key[2])):
                del self._entries[key]
                entry.is_wanted = False
                if entry.is_over:
                    self._remove(entry)

    def n_bytes(self, version: int) -> int:
        """That were written for a version."""
        return sum(entry.file.n_bytes for key, entry in self._entries.items()
                   if key[0] == version and entry.file is not None)

    def close(self) -> None:
        if self._directory is not None:
            self._directory.close()
