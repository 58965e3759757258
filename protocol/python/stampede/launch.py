"""A local worker as a child process that ends with its parent."""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import checks
from .errors import ArgumentError, ForkedError, LaunchError

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child of a threaded process must not load libraries.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def find_program() -> str:
    """STAMPEDE_BIN, else the one that a platform wheel brought, else `stampede` on PATH, else
    build/stampede of the checkout."""
    named = os.environ.get("STAMPEDE_BIN")
    if named:
        if not os.access(named, os.X_OK):
            raise LaunchError(f'STAMPEDE_BIN is "{named}", which is no program.')
        return named
    brought = Path(__file__).resolve().parent / "bin" / "stampede"
    if os.access(brought, os.X_OK):
        return str(brought)
    found = shutil.which("stampede")
    if found:
        return found
    built = Path(__file__).resolve().parents[3] / "build" / "stampede"
    if os.access(built, os.X_OK):
        return str(built)
    raise LaunchError("No stampede program: set STAMPEDE_BIN, put it on PATH, or run make in the "
                      "checkout.")


def _text(where: str, value: Any, expected: str = "a text, a path or a finite number") -> str:
    """One argument of the program."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        if isinstance(value, (bytes, bool, np.bool_)) or not isinstance(
                value, (int, float, np.integer, np.floating)):
            raise checks.refuse_kind(where, value, expected)
        checks.number(where, value, expected)
    text = str(value)
    if "\0" in text:
        raise checks.refuse(where, text, f"{expected}, without a NUL")
    checks.utf8(where, text)
    return text


def flags_to_arguments(flags: Mapping[str, Any]) -> List[str]:
    """threads=2 becomes --threads 2, insecure=True becomes --insecure; None and False nothing.

    A list repeats the flag; a dict becomes NAME=VALUE pairs (verifier={"x": "./x.py"}).
    """
    out: List[str] = []
    for name, value in flags.items():
        flag, where = _text("launch: a flag", "--" + name.replace("_", "-")), f"launch: {name}"
        if value is None:
            continue
        if isinstance(value, (bool, np.bool_)):
            out += [flag] if value else []
        elif isinstance(value, Mapping):
            for key, item in value.items():
                out += [flag, f"{_text(f'{where}: a name', key)}={_text(where, item)}"]
        elif isinstance(value, (list, tuple)):
            for item in value:
                out += [flag, _text(where, item)]
        else:
            out += [flag, _text(where, value)]
    return out


class Worker:
    """A worker that `launch` started. It belongs to the process that started it: in a forked one
    every call but `pid` raises ForkedError."""

    def __init__(self, process: "subprocess.Popen[bytes]", arguments: Sequence[str]) -> None:
        self._child = process
        self._owner = os.getpid()
        self.arguments = list(arguments)

    @property
    def _process(self) -> "subprocess.Popen[bytes]":
        if os.getpid() != self._owner:
            raise ForkedError(f"This worker was started by process {self._owner}; process "
                              f"{os.getpid()} was forked from it and cannot use it.")
        return self._child

    @property
    def pid(self) -> int:
        return self._child.pid

    def poll(self) -> Optional[int]:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """SIGTERM: the worker drains and ends with status 75."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: Optional[float] = None) -> int:
        return self._process.wait(timeout)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exc: object) -> None:
        """Terminates and waits; a worker that does not end in ten seconds is killed."""
        if os.getpid() == self._owner and self.poll() is None:
            self.terminate()
            try:
                self.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
                self.wait()


def _die_with_parent(parent: int) -> None:
    # In the child, between fork and exec.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # type: ignore[union-attr]
    if os.getppid() != parent:
        os._exit(1)


class _Forker:
    """One thread that forks all workers and lives as long as the process: the kernel sends the
    death signal when the thread that forked ends, not when its process does."""

    def __init__(self) -> None:
        self._queue: "queue.SimpleQueue[Tuple[Callable[[], Any], Future[Any]]]" = (
            queue.SimpleQueue())
        threading.Thread(target=self._run, name="stampede-launch", daemon=True).start()

    def call(self, function: Callable[[], Any]) -> Any:
        future: "Future[Any]" = Future()
        self._queue.put((function, future))
        return future.result()

    def _run(self) -> None:
        while True:
            function, future = self._queue.get()
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)


_forker: Optional[_Forker] = None
_forker_lock = threading.Lock()


def _forget_forker() -> None:
    """In a forked process: threads do not survive a fork, and a lock may be held for ever."""
    global _forker, _forker_lock
    _forker, _forker_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_forker)


def _fork(function: Callable[[], Any]) -> Any:
    global _forker
    with _forker_lock:
        if _forker is None:
            _forker = _Forker()
    return _forker.call(function)


def launch(model: "Union[str, os.PathLike[str]]", connect: Optional[str] = None,
           bind: Optional[str] = None, stdout: Any = None, stderr: Any = None,
           **flags: Any) -> Worker:
    """Starts `stampede serve --model MODEL --connect URL` (or --bind URL) with the flags.

    Keyword arguments are the flags of `stampede serve` with `_` for `-`. The worker is killed when
    this process ends, however it ends.
    """
    if (connect is None) == (bind is None):
        raise ArgumentError("launch: expected exactly one of connect and bind.")
    if not isinstance(model, (str, os.PathLike)) or not os.fspath(model):
        raise checks.refuse_kind("launch: model", model, "the path of a checkpoint")
    where, url = ("connect", connect) if connect is not None else ("bind", bind)
    options = ["--model", _text("launch: model", model, "a path"), f"--{where}",
               _text(f"launch: {where}", checks.text(f"launch: {where}", url), "a URL")]
    options += flags_to_arguments(flags)
    arguments = [find_program(), "serve", *options]
    parent = os.getpid()
    preexec = (lambda: _die_with_parent(parent)) if _LIBC is not None else None
    try:
        process = _fork(lambda: subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            preexec_fn=preexec))
    except (OSError, subprocess.SubprocessError) as error:
        raise LaunchError(f'"{arguments[0]}" could not be started: {error}.') from error
    return Worker(process, arguments)
