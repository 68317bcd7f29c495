"""AF_INET and AF_INET6: what TCP and UDP share - the local end, the remote one, binding.

A socket of AF_INET6 may talk IPv4 by mapped addresses unless it is IPV6_V6ONLY. Source: ip(7),
ipv6(7), Linux 6.18 net/ipv4/af_inet.c for the order of the checks.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import (
    ANY4,
    ANY6,
    Endpoint,
    is_any,
    is_v4,
    pack,
    unpack,
)
from pkern.kernel.net.socket import AF_INET, AF_INET6, AF_UNSPEC, Owner, Socket

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.net.ports import Ports
    from pkern.kernel.vfs.machine import Caller

IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_UDPLITE = 0, 6, 17, 41, 136
IPV6_V6ONLY = 26


class InetSocket(Socket):
    """A socket with two ends. remote: None where it is not connected.

    chosen, chosen_ip: whether bind() has named the port, and the address: they outlive connections.
    """

    protocol_names: ClassVar[tuple[str, str]]  # of AF_INET, of AF_INET6
    has_error_queue = True

    def __init__(self, net: Net, family: int, socket_type: int, owner: Owner) -> None:
        super().__init__(net, socket_type, owner)
        self.family = family
        self.protocol_name = self.protocol_names[family == AF_INET6]
        self.local = Endpoint(ANY4 if family == AF_INET else ANY6, 0)
        self.remote: Endpoint | None = None
        self.chosen = self.chosen_ip = 0
        net.entered(self)

    @property
    def ports(self) -> Ports:
        """The table of its protocol."""
        raise NotImplementedError

    @property
    def v6only(self) -> int:
        """IPV6_V6ONLY; of a socket of AF_INET, 0."""
        return self.option(IPPROTO_IPV6, IPV6_V6ONLY)

    @property
    def own_name(self) -> bytes:
        return pack(self.family, self.local)

    @property
    def is_connected(self) -> bool:
        """Whether getpeername has an answer."""
        return self.remote is not None

    @property
    def peer_name(self) -> bytes:
        if not self.is_connected or self.remote is None:
            raise SyscallError(errno.ENOTCONN)
        return pack(self.family, self.remote)

    # ---- binding ----

    @property
    def can_bind(self) -> bool:
        """Whether it is as it was made."""
        return not self.local.port

    def _own_end(self, address: bytes) -> Endpoint:
        """Return the end that bind() names. Errors: EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL."""
        unspecified = address[:2] == AF_UNSPEC.to_bytes(2, "little")
        if self.family == AF_INET and unspecified and len(address) >= 8 and not any(address[4:8]):
            address = AF_INET.to_bytes(2, "little") + address[2:]
        end = unpack(self.family, address)
        if self.family == AF_INET6 and is_v4(end.ip) and self.v6only:
            raise SyscallError(errno.EINVAL)
        if not self.net.lo.can_be_own(end.ip):
            raise SyscallError(errno.EADDRNOTAVAIL)
        return end

    def bind(self, task: Caller, address: bytes) -> None:
        """Take a local end. Errors: as _own_end, EACCES, EINVAL (it has one), EADDRINUSE."""
        end = self._own_end(address)
        low = 0 < end.port < self.net.first_user_port
        if low and not task.capable_in(self.net.owner, "CAP_NET_BIND_SERVICE"):
            raise SyscallError(errno.EACCES)
        if not self.can_bind:
            raise SyscallError(errno.EINVAL)
        if end.port:
            self.ports.need_free(self, end.ip, end.port)
        self.chosen, self.chosen_ip = int(end.port != 0), int(not is_any(end.ip))
        self.ports.take(self, end if end.port else Endpoint(end.ip, self.ports.free()))

    def bind_somehow(self, ip: bytes = b"") -> None:
        """Take a free port, if it has none, and an address, if that was open."""
        port = self.local.port or self.ports.free()
        own = ip if ip and is_any(self.local.ip) else self.local.ip
        if (own, port) != self.local:
            self.ports.take(self, Endpoint(own, port))

    def unbind(self) -> None:
        """Let the port and the address go that bind() had not named."""
        nowhere = ANY4 if self.family == AF_INET else ANY6
        ip = self.local.ip if self.chosen_ip else nowhere
        self.ports.take(self, Endpoint(ip, self.local.port if self.chosen else 0))

    # ---- where to ----

    def destination(self, end: Endpoint) -> tuple[Endpoint, bytes]:
        """Return the end that an address leads to, and the source address.

        Errors: ENETUNREACH, EADDRNOTAVAIL (there is no source).
        """
        ip = end.ip
        if ip == ANY6 and is_v4(self.local.ip):
            ip = ANY4
        ip, source = self.net.lo.route(ip)
        own = self.local.ip
        mixed = not is_any(own) and is_v4(own) != is_v4(ip)
        if mixed or (is_v4(ip) and self.family == AF_INET6 and self.v6only):
            raise SyscallError(errno.ENETUNREACH)
        return Endpoint(ip, end.port), source if is_any(own) else own

    def hears(self, ip: bytes) -> int:
        """Return how well its local address fits one: 0: not at all, 2: it is that one."""
        if self.local.ip == ip:
            return 2
        if self.local.ip == ANY6:
            return 0 if is_v4(ip) and self.v6only else 1
        return int(self.local.ip == ANY4 and is_v4(ip))
