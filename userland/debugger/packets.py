"""The frames of gdb's remote serial protocol: $DATA#SUM, escapes, acknowledgements, interrupts.

Owns the connection. Whatever comes that is no frame is passed over; a frame whose sum is wrong is
asked for again, or passed over once acknowledgements are off. Source: appendix "gdb Remote Serial
Protocol" of gdb's manual.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

READ_BYTES = 1 << 16
MOST_BYTES = 1 << 20  # of a frame
PACKET_BYTES = 0x20000  # what gdb is told that it may send
INTERRUPT = 0x03
ESCAPED = b"}$#*"  # what escapes comes first
ESCAPE, FLIP = 0x7D, 0x20


class Closed(Exception):
    """The other end has gone."""


def escape(data: bytes) -> bytes:
    """Return data as it may stand in a frame."""
    for byte in ESCAPED:
        data = data.replace(bytes((byte,)), bytes((ESCAPE, byte ^ FLIP)))
    return data


def unescape(data: bytes) -> bytes:
    """Return what escape() was given; an escape with nothing behind it is dropped."""
    head, *parts = data.split(bytes((ESCAPE,)))
    return head + b"".join(bytes((part[0] ^ FLIP,)) + part[1:] for part in parts if part)


def frame(data: bytes) -> bytes:
    """Return a packet with its frame; data: escaped where need be."""
    return b"$%s#%02x" % (data, sum(data) & 0xFF)


class Connection:
    """A debugger's end: two descriptors, or twice the same."""

    def __init__(self, fd_in: int, fd_out: int) -> None:
        self._in, self._out = fd_in, fd_out
        self._buffer = bytearray()
        self._last = b""  # sent, until it is acknowledged
        self.acknowledges = True

    @property
    def kept(self) -> bytes:
        """What has come and was not read yet."""
        return bytes(self._buffer)

    def take_over(self, buffer: bytes, acknowledges: int) -> None:
        """Go on where another process has read up to."""
        self._buffer = bytearray(buffer)
        self.acknowledges = bool(acknowledges)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._in

    def close(self) -> None:
        """Let go of it; a second call does nothing."""
        for fd in {self._in, self._out} - {-1}:
            with suppress(OSError):
                os.close(fd)
        self._in = self._out = -1

    def drain(self, seconds: float) -> None:
        """Let the other end read all and close, for so long at most."""
        if self._in < 0:
            return
        with suppress(Closed, OSError):
            while select.select([self._in], [], [], seconds)[0]:
                self._read()

    # ---- sending ----

    def send(self, data: bytes) -> None:
        """Send a packet; data: escaped where need be. Errors: Closed."""
        self._last = frame(data)
        self._write(self._last)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._out, left) :]
            except OSError as error:
                raise Closed from error

    # ---- receiving ----

    def receive(self) -> bytes | None:
        """Wait for a packet and return its bytes, None for an interrupt. Errors: Closed."""
        while True:
            packet, found = self._take()
            if found:
                return packet
            self._read()

    def interrupted(self) -> bool:
        """Tell, without waiting, whether an interrupt has come; what else came waits.

        Errors: Closed.
        """
        while select.select([self._in], [], [], 0)[0]:
            self._read()
        return self._take_interrupt()

    def wait(self) -> None:
        """Wait until something comes. Errors: Closed."""
        if not self._buffer:
            self._read()

    def _read(self) -> None:
        try:
            part = os.read(self._in, READ_BYTES)
        except OSError as error:
            raise Closed from error
        if not part:
            raise Closed
        self._buffer += part
        if len(self._buffer) > MOST_BYTES:
            del self._buffer[:-1]  # no debugger sends that

    def _take_interrupt(self) -> bool:
        """Take an interrupt that stands before the next frame."""
        start = self._buffer.find(b"$")
        at = self._buffer.find(INTERRUPT, 0, start if start >= 0 else len(self._buffer))
        if at >= 0:
            del self._buffer[: at + 1]
        return at >= 0

    def _take(self) -> tuple[bytes | None, bool]:
        """Take what has come: a packet, or None for an interrupt; and whether there was any."""
        while self._buffer:
            if self._take_interrupt():
                return None, True
            self._take_refusals()
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start + 1)
            if start < 0 or end < 0 or len(self._buffer) < end + 3:
                break
            data = bytes(self._buffer[start + 1 : end])
            told = bytes(self._buffer[end + 1 : end + 3])
            del self._buffer[: end + 3]
            if self._accepts(data, told):
                return unescape(data), True
        return None, False

    def _take_refusals(self) -> None:
        """Send the last packet again where the other end has asked for that."""
        start = self._buffer.find(b"$")
        before = self._buffer[: start if start >= 0 else len(self._buffer)]
        del self._buffer[: len(before)]
        if b"-" in before and self.acknowledges:
            self._write(self._last)

    def _accepts(self, data: bytes, told: bytes) -> bool:
        """Acknowledge a packet; tell whether its sum is right."""
        try:
            right = int(told, 16) == sum(data) & 0xFF
        except ValueError:
            right = False
        if self.acknowledges:
            self._write(b"+" if right else b"-")
        return right


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of the host's own address, 0: any. Errors: OSError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def accept(listener: socket.socket) -> Connection:
    """Wait for a debugger; the listener is closed."""
    with listener:
        made, _ = listener.accept()
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    fd = made.detach()
    return Connection(fd, fd)
