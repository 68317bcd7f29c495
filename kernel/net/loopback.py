"""The loopback device of one network: its flags, its addresses, what they lead to.

Invariants: a network begins with the device down and without an address; the first time that it is
set up it gets 127.0.0.1/8, unless it has one by then, and each time ::1, which goes when it is set
down. What an address of version 4 leads to stays, so that a socket finds a way to a device that is
down: what it sends is lost. Before the first address of version 4 there is no table of ways: every
address can be bound to, none can be reached. Source: netdevice(7), inetdev_event() and
addrconf_ifdown() of Linux 6.18.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import (
    ANY4,
    ANY6,
    BROADCAST,
    LOOPBACK4,
    LOOPBACK6,
    is_any,
    is_multicast,
    is_v4,
)

NAME, INDEX = b"lo", 1
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_LOWER_UP = 1, 8, 0x40, 0x10000
SETTABLE = 0xF1A5 | 0x200  # UP, DEBUG, NOTRAILERS, NOARP, PROMISC, MULTICAST ... DYNAMIC, ALLMULTI
V4_BITS, V6_BITS = 32, 128


class Address(NamedTuple):
    """An address of the device, and how many of its bits name a network that leads here, too."""

    ip: bytes
    prefix: int

    @property
    def is_v4(self) -> bool:
        """Whether it is of version 4."""
        return is_v4(self.ip)

    @property
    def raw(self) -> bytes:
        """Its bytes, as its version has them."""
        return self.ip[12:] if self.is_v4 else self.ip

    @property
    def mask(self) -> int:
        """The bits of its network, as a number of its version's size."""
        bits = V4_BITS if self.is_v4 else V6_BITS
        return (1 << bits) - (1 << (bits - self.prefix))

    def holds(self, ip: bytes) -> bool:
        """Tell whether an address lies in its network."""
        if is_v4(ip) is not self.is_v4:
            return False
        mask = self.mask
        other = Address(ip, 0).raw
        return int.from_bytes(self.raw, "big") & mask == int.from_bytes(other, "big") & mask


FIRST4, FIRST6 = Address(LOOPBACK4, 8), Address(LOOPBACK6, V6_BITS)


class Loopback:
    """The device. addresses: in the order in which Linux shows them, version 4 first.

    packets, nbytes: what went over it, acknowledgements not counted; dropped: packets for which it
    was down. was_up: 1 once it was up; has_ways: 1 once it had an address of version 4.
    """

    def __init__(self) -> None:
        self._set = 0
        self.addresses: list[Address] = []
        self.mtu, self.queue_length = 65536, 1000
        self.packets = self.nbytes = self.dropped = 0
        self.was_up = self.has_ways = 0

    # ---- up and down ----

    @property
    def flags(self) -> int:
        """IFF_*, as programs are shown them."""
        return self._set | IFF_LOOPBACK | (IFF_RUNNING if self.up else 0)

    @property
    def up(self) -> bool:
        """Whether anything goes over it."""
        return bool(self._set & IFF_UP)

    def set_flags(self, flags: int) -> None:
        """Change what can be changed of its flags."""
        was_up, self._set = self.up, flags & SETTABLE
        if self.up and not was_up:
            self.was_up = 1
            if not self.of_v4():
                self.add(FIRST4)
            self.add(FIRST6)
        elif was_up and not self.up:
            self.addresses = self.of_v4()

    def carried(self, nbytes: int, packets: int = 1) -> bool:
        """Note packets of so many bytes in all that are sent; tell whether they arrive."""
        if not self.up:
            self.dropped += packets
            return False
        self.packets += packets
        self.nbytes += nbytes
        return True

    # ---- addresses ----

    def of_v4(self) -> list[Address]:
        """Return its addresses of version 4."""
        return [one for one in self.addresses if one.is_v4]

    def of_v6(self) -> list[Address]:
        """Return its addresses of version 6."""
        return [one for one in self.addresses if not one.is_v4]

    def add(self, address: Address) -> None:
        """Give it one more. Errors: EEXIST."""
        if address.ip in [one.ip for one in self.addresses]:
            raise SyscallError(errno.EEXIST)
        self.addresses = sorted([*self.addresses, address], key=lambda one: not one.is_v4)
        self.has_ways |= int(address.is_v4)

    def remove(self, address: Address) -> None:
        """Take one from it. Errors: EADDRNOTAVAIL."""
        if address not in self.addresses:
            raise SyscallError(errno.EADDRNOTAVAIL)
        self.addresses.remove(address)

    def can_be_own(self, ip: bytes) -> bool:
        """Tell whether a socket may be bound to an address."""
        if ip in (ANY4, ANY6, BROADCAST) or is_multicast(ip):
            return True
        if is_v4(ip) and not self.has_ways:
            return True
        return self._holder(ip) is not None

    def _holder(self, ip: bytes) -> Address | None:
        """Return the address through which one leads here."""
        exact = [one for one in self.addresses if one.ip == ip]
        wide = [one for one in self.addresses if self.was_up and one.holds(ip)]
        return next(iter([*exact, *wide]), None)

    def route(self, ip: bytes) -> tuple[bytes, bytes]:
        """Return where an address leads, and the source address there.

        Errors: ENETUNREACH; EADDRNOTAVAIL: of version 6, of which there is no source.
        """
        if is_any(ip):
            ip = LOOPBACK4 if is_v4(ip) else LOOPBACK6
        if not is_v4(ip) and not self.of_v6():
            raise SyscallError(errno.EADDRNOTAVAIL)
        holder = self._holder(ip)
        if holder is None:
            raise SyscallError(errno.ENETUNREACH)
        return ip, holder.ip
