"""CURVE: key files, which protocol/keys.h describes, and who may connect."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import zmq
from zmq.utils import z85

from . import checks
from .errors import ArgumentError, KeyFileError

log = logging.getLogger("stampede")
PathLike = Union[str, "os.PathLike[str]"]
_Z85 = re.compile(rb"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_REFRESH_S = 2.0
ZAP_URL = "inproc://zeromq.zap.01"
DOMAIN = b"rollout"


# What this process lacks for the moment says nothing of a file.
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class _ScarceError(KeyFileError):
    pass


def _refuse_open(what: str, path: PathLike, error: OSError) -> KeyFileError:
    kind = _ScarceError if error.errno in _SCARCE else KeyFileError
    return kind(f'{what} "{os.fspath(path)}": {error.strerror}.')


class Keys(NamedTuple):
    """Files of `stampede keygen` for a Trainer.

    `key` is the trainer's secret key. A trainer that binds has `allow_keys`, a folder with the
    public key of each worker that may join (NAME.pub; several lines while one is exchanged), which
    is read again each two seconds. One that connects has `server_key`, the public key of the
    worker, or a list of them, one for each URL.
    """

    key: PathLike
    allow_keys: Optional[PathLike] = None
    server_key: Union[None, PathLike, Sequence[PathLike]] = None


def _read(path: PathLike, secret: bool) -> List[bytes]:
    name = os.fspath(path)
    try:
        with open(name, "rb", opener=lambda at, how: os.open(at, how | os.O_NONBLOCK)) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(4096)
    except OSError as error:
        raise _refuse_open("Key file", name, error) from error
    if secret and mode & 0o037:
        raise KeyFileError(f'Key file "{name}" has mode {mode:04o}; a secret key is for its owner '
                           "(0400), or its owner and group (0440).")
    words = text.split()
    if not words or len(text) == 4096 or not all(_Z85.fullmatch(word) for word in words):
        raise KeyFileError(f'Key file "{name}": expected a key of 40 characters of Z85, as '
                           "stampede keygen writes it.")
    if secret and len(words) != 1:
        raise KeyFileError(f'Key file "{name}": expected one key.')
    return words


class Allowed:
    """The public keys of a folder and whose they are. A folder or a file that cannot be read allows
    nobody."""

    def __init__(self, folder: PathLike) -> None:
        self._folder = Path(folder)
        self._names = self._scan()
        self._users = set(self._names.values())
        self._read_at = time.monotonic()

    def _scan(self, skip_bad: bool = False) -> Dict[bytes, str]:
        names: Dict[bytes, str] = {}
        try:
            files = sorted(self._folder.iterdir())
        except OSError as error:
            raise _refuse_open("The folder of keys", self._folder, error) from error
        for file in files:
            if file.suffix != ".pub" or not _NAME.fullmatch(file.name):
                continue
            try:
                names.update((key, file.stem) for key in _read(file, False))
            except KeyFileError as error:
                if not skip_bad or isinstance(error, _ScarceError):
                    raise
                log.error("%s It allows nobody.", error)
        return names

    def refresh(self) -> None:
        """One bad file must not shut out everybody: whose it is, is."""
        now = time.monotonic()
        if now - self._read_at < _REFRESH_S:
            return
        self._read_at = now
        try:
            self._names = self._scan(skip_bad=True)
        except _ScarceError as error:  # strangers' connections must not throw out who is here
            log.error("%s The keys that were read before hold.", error)
        except KeyFileError as error:
            log.error("%s Nobody is allowed.", error)
            self._names = {}
        self._users = set(self._names.values())

    def user_of(self, key: bytes) -> str:
        """Whose this key (32 bytes) is; "": nobody's that is allowed."""
        self.refresh()
        return self._names.get(z85.encode(key), "") if len(key) == 32 else ""

    def has(self, user: str) -> bool:
        self.refresh()
        return user in self._users


class Curve:
    """This end's keys, ready for sockets."""

    def __init__(self, keys: Any, urls: Sequence[str], bind: bool) -> None:
        if not isinstance(keys, Keys):
            raise checks.refuse_kind("Trainer: keys", keys, "a stampede.Keys")
        if bind != (keys.allow_keys is not None) or bind == (keys.server_key is not None):
            raise ArgumentError("Trainer: keys: expected allow_keys with url, server_key with "
                                "connect.")
        self._secret = _read(keys.key, True)[0]
        self._public = zmq.curve_public(self._secret)
        self.allowed = Allowed(keys.allow_keys) if keys.allow_keys is not None else None
        servers = keys.server_key
        if servers is None or isinstance(servers, (str, os.PathLike)):
            servers = [] if servers is None else [servers] * len(urls)
        if not bind and len(servers) != len(urls):
            raise ArgumentError(f"Trainer: keys: {len(servers)} server keys for {len(urls)} URLs; "
                                "expected one for all, or one for each.")
        self._servers = [_read(path, False)[-1] for path in servers]

    def secure(self, socket: "zmq.Socket[bytes]", index: int) -> None:
        """Before it is bound or connected."""
        socket.curve_secretkey, socket.curve_publickey = self._secret, self._public
        if self.allowed is not None:
            socket.curve_server = True
            socket.zap_domain = DOMAIN
        else:
            socket.curve_serverkey = self._servers[index]

    def answer(self, question: Sequence[bytes]) -> Tuple[List[bytes], bool]:
        """The reply to one of libzmq's questions (ZAP, rfc.zeromq.org/spec/27), and whether the
        peer may connect."""
        number = question[1] if len(question) > 1 else b""
        user = ""
        if len(question) == 7 and question[5] == b"CURVE" and self.allowed is not None:
            user = self.allowed.user_of(question[6])
        return [b"1.0", number, b"200" if user else b"400", b"", user.encode(), b""], bool(user)
