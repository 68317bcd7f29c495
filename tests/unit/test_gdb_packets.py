"""The frames of gdb's protocol, and a stub that is asked for anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkern.userland.debugger import registers
from pkern.userland.debugger.packets import Closed, Connection, escape, frame, unescape
from pkern.userland.debugger.registers import REGISTERS
from pkern.userland.debugger.signals import FROM_GDB, TO_GDB


class Ends:
    """A connection, and the debugger's end of it."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        fd = ours.detach()
        self.connection = Connection(fd, fd)

    def sent(self) -> bytes:
        """Return what has been sent to the debugger."""
        self.theirs.setblocking(False)
        try:
            return self.theirs.recv(1 << 16)
        except BlockingIOError:
            return b""


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.connection.close()
    made.theirs.close()


@given(st.binary())
def test_escapes_are_undone(data: bytes) -> None:
    escaped = escape(data)
    assert unescape(escaped) == data
    assert not {b"$", b"#", b"*"} & {escaped[i : i + 1] for i in range(len(escaped))}


def test_a_packet_is_acknowledged_until_that_is_off(ends: Ends) -> None:
    assert frame(b"OK") == b"$OK#9a"
    ends.theirs.sendall(b"$g#67")
    assert ends.connection.receive() == b"g"
    assert ends.sent() == b"+"
    ends.connection.acknowledges = False
    ends.theirs.sendall(frame(b"m10,4"))
    assert ends.connection.receive() == b"m10,4"
    assert ends.sent() == b""


def test_a_wrong_sum_is_asked_for_again_and_so_is_what_we_sent(ends: Ends) -> None:
    ends.theirs.sendall(b"noise$g#00$g#zz$g#67")
    assert ends.connection.receive() == b"g"
    assert ends.sent() == b"--+"
    ends.connection.send(b"OK")
    ends.theirs.sendall(b"-$?#3f")
    assert ends.connection.receive() == b"?"
    assert ends.sent() == b"$OK#9a$OK#9a+"


def test_an_interrupt_comes_between_packets(ends: Ends) -> None:
    assert not ends.connection.interrupted()
    ends.theirs.sendall(b"+\x03")
    assert ends.connection.interrupted()
    assert not ends.connection.interrupted()
    ends.theirs.sendall(frame(b"X0,1:\x03") + b"\x03")  # in a packet it is data
    assert ends.connection.receive() == b"X0,1:\x03"
    assert ends.connection.receive() is None


def test_parts_are_put_together_and_an_end_is_told(ends: Ends) -> None:
    packet = frame(b"qSupported")
    ends.theirs.sendall(packet[:5])
    assert not ends.connection.interrupted()
    ends.theirs.sendall(packet[5:])
    assert ends.connection.receive() == b"qSupported"
    ends.theirs.close()
    with pytest.raises(Closed):
        ends.connection.receive()
    with pytest.raises(Closed):
        ends.connection.interrupted()


def test_what_never_ends_is_forgotten(ends: Ends) -> None:
    for _ in range(20):
        ends.theirs.sendall(b"$" + b"a" * 60000)
        ends.connection.interrupted()
    assert len(ends.connection.kept) <= (1 << 20) + (1 << 16)


def test_the_order_of_registers_is_gdbs() -> None:
    names = [register.name for register in REGISTERS]
    assert names[:2] == ["rax", "rbx"]
    assert (names.index("rip"), names.index("st0"), names.index("fctrl")) == (16, 24, 32)
    assert (names.index("xmm0"), names.index("mxcsr"), names.index("orig_rax")) == (40, 56, 57)
    assert sum(register.bits for register in REGISTERS[:40]) // 8 == 276
    assert registers.description().count("<reg ") == len(REGISTERS)


def test_signals_have_gdbs_numbers() -> None:
    assert [TO_GDB[n] for n in (2, 5, 7, 10, 11, 17, 33, 64)] == [2, 5, 10, 30, 11, 20, 45, 78]
    assert FROM_GDB[30] == 10
    assert len(FROM_GDB) == 63  # SIGSTKFLT has none
