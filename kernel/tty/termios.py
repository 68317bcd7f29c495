"""Settings of a terminal: struct termios, its bits and its characters. Source: termios(3)."""

from __future__ import annotations

import struct

# c_iflag
ISTRIP, INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY = 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
PARMRK, IUTF8 = 0x8, 0x4000
# c_oflag
OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, TABDLY = 1, 2, 4, 8, 0x10, 0x20, 0x1800
# c_lflag
ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, TOSTOP = 1, 2, 8, 0x10, 0x20, 0x40, 0x80, 0x100
ECHOCTL, ECHOPRT, ECHOKE, IEXTEN, EXTPROC = 0x200, 0x400, 0x800, 0x8000, 0x10000
# c_cc
VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP = range(11)
VEOL, VREPRINT, VDISCARD, VWERASE, VLNEXT, VEOL2 = range(11, 17)
CSIZE, CS8, CREAD, PARENB = 0x30, 0x30, 0x80, 0x100
B38400 = 0xF
NR_CC = 19
DISABLED = 0  # the character that none of c_cc is

FIRST_CC = b"\x03\x1c\x7f\x15\x04\0\1\0\x11\x13\x1a\0\x12\x0f\x17\x16\0\0\0"
LAYOUT, LAYOUT2 = struct.Struct("<4IB19s"), struct.Struct("<4IB19s2I")


class Termios:
    """The settings, as one terminal has them now."""

    def __init__(self) -> None:
        self.iflag = ICRNL | IXON
        self.oflag = OPOST | ONLCR
        self.cflag = B38400 | CS8 | CREAD
        self.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN
        self.line = 0
        self.cc = bytearray(FIRST_CC)
        self.speeds = (38400, 38400)

    def raw(self) -> None:
        """Be as the master's side is: nothing is done to bytes."""
        self.iflag = self.oflag = self.lflag = 0

    def pack(self) -> bytes:
        """Return a struct termios of the kernel's."""
        head = (self.iflag, self.oflag, self.cflag, self.lflag, self.line)
        return LAYOUT.pack(*head, bytes(self.cc))

    def pack2(self) -> bytes:
        """Return a struct termios2, with the speeds."""
        return self.pack() + struct.pack("<2I", *self.speeds)

    def unpack(self, raw: bytes) -> None:
        """Take a struct termios, or termios2, over."""
        self.iflag, self.oflag, self.cflag, self.lflag, self.line, cc = LAYOUT.unpack_from(raw)
        self.cc = bytearray(cc)
        if len(raw) >= LAYOUT2.size:
            self.speeds = struct.unpack_from("<2I", raw, LAYOUT.size)
        self.cflag = self.cflag & ~(CSIZE | PARENB) | CS8 | CREAD

    def is_char(self, byte: int, which: int) -> bool:
        """Tell whether a byte is one of the characters of c_cc."""
        return byte != DISABLED and self.cc[which] == byte
