"""Which addresses may be used; the same rules as protocol/address.h."""

from __future__ import annotations

import ipaddress
import re

from .errors import AddressError


def check(url: str, binding: bool, anywhere: bool = False) -> str:
    """The URL as ZeroMQ takes it, or AddressError.

    ipc://PATH and tcp:// with a loopback host are allowed; other hosts need `anywhere`: keys, or
    insecure=True. A wildcard host is never used. Port 0 or * picks a free one, for binding only.
    """
    if url.startswith("ipc://"):
        if not 1 <= len(url[6:].encode()) <= 100 or url[6] in "*@":
            raise AddressError(f'Address "{url}": expected ipc://PATH of 1 to 100 bytes.')
        return url
    match = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:.%\w]+\]|[\w.*-]+):(\d{1,5}|\*)", url, re.ASCII)
    if match is None:
        raise AddressError(f'Address "{url}": expected tcp://HOST:PORT or ipc://PATH.')
    host, port = match.group(1).strip("[]"), match.group(2)
    if port != "*" and int(port) > 65535:
        raise AddressError(f'Address "{url}": expected a port to 65535.')
    if port in ("*", "0") and not binding:
        raise AddressError(f'Address "{url}": expected a port from 1 to 65535 to connect to.')
    try:
        address = ipaddress.ip_address(host)
        wildcard, loopback = address.is_unspecified, address.is_loopback
    except ValueError:
        wildcard, loopback = "*" in host, host == "localhost"
    if wildcard:
        raise AddressError(f'Address "{url}": a wildcard host is never used: name the '
                           "interface's address.")
    if not loopback and not anywhere:
        raise AddressError(f'Address "{url}": the host is not loopback, and without keys the wire '
                           "is neither encrypted nor authenticated: give keys=, or say "
                           "insecure=True.")
    if host == "localhost":
        url = f"tcp://127.0.0.1:{port}"
    return url
