"""Addresses of IP: 16 bytes each, those of version 4 in their mapped form."""

from __future__ import annotations

import errno
from typing import NamedTuple

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.socket import AF_INET, AF_INET6

MAPPED = bytes(10) + b"\xff\xff"
ANY4, ANY6 = MAPPED + bytes(4), bytes(16)
LOOPBACK4, LOOPBACK6 = MAPPED + b"\x7f\0\0\1", bytes(15) + b"\1"
BROADCAST = MAPPED + b"\xff" * 4
V4_BYTES, V6_LEAST = 16, 24  # of sockaddr_in, of RFC 2133's sockaddr_in6


class Endpoint(NamedTuple):
    """An address and a port."""

    ip: bytes
    port: int


def is_v4(ip: bytes) -> bool:
    """Tell whether an address is one of version 4."""
    return ip[:12] == MAPPED


def is_any(ip: bytes) -> bool:
    """Tell whether an address stands for all of them."""
    return ip in (ANY4, ANY6)


def is_multicast(ip: bytes) -> bool:
    """Tell whether an address is that of a group."""
    return ip[12] >> 4 == 14 if is_v4(ip) else ip[0] == 0xFF


def pack(family: int, end: Endpoint) -> bytes:
    """Return a struct sockaddr_in or sockaddr_in6."""
    head = family.to_bytes(2, "little") + end.port.to_bytes(2, "big")
    return head + (end.ip[12:] + bytes(8) if family == AF_INET else bytes(4) + end.ip + bytes(4))


def unpack(family: int, address: bytes) -> Endpoint:
    """Return what a struct sockaddr of a socket's family says. Errors: EINVAL, EAFNOSUPPORT."""
    if len(address) < (V4_BYTES if family == AF_INET else V6_LEAST):
        raise SyscallError(errno.EINVAL)
    if int.from_bytes(address[:2], "little") != family:
        raise SyscallError(errno.EAFNOSUPPORT)
    port = int.from_bytes(address[2:4], "big")
    if family == AF_INET6:
        return Endpoint(address[8:24], port)
    return Endpoint(MAPPED + address[4:8], port)
