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
CSIZE, CS8, CREAD, PARENB, CLOCAL = 0x30, 0x30, 0x80, 0x100, 0x800
B38400 = 0xF
CBAUD, BOTHER, CBAUDEX, IBSHIFT = 0x100F, 0x1000, 0x1000, 16
# Bits a second that the values of CBAUD mean, those with CBAUDEX behind those without.
SPEEDS = (
    0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
    57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
    2500000, 3000000, 3500000, 4000000,
)  # fmt: skip
DISABLED = 0  # the character that none of c_cc is

FIRST_CC = b"\x03\x1c\x7f\x15\x04\0\1\0\x11\x13\x1a\0\x12\x0f\x17\x16\0\0\0"
LAYOUT, LAYOUT2 = struct.Struct("<4IB19s"), struct.Struct("<4IB19s2I")
OLD_LAYOUT = struct.Struct("<4HB8sx")  # struct termio: the low halves and the first characters


def _speed(coded: int, other: int) -> int:
    """Return the speed that bits of CBAUD mean. other: that of BOTHER."""
    if coded == BOTHER:
        return other
    index = coded & ~CBAUDEX
    return SPEEDS[index + 15 if coded & CBAUDEX else index]


def _kept(new: bytes, old: bytes, locked: bytes) -> bytes:
    """Return new settings but for what is locked: bits of flags, whole characters."""
    flags = [n & ~k | o & k for n, o, k in zip(new[:16], old, locked, strict=False)]
    rest = [o if k else n for n, o, k in zip(new[16:], old[16:], locked[16:], strict=True)]
    return bytes(flags + rest)


class Termios:
    """The settings, as one terminal has them now. locked: what of them cannot be changed."""

    def __init__(self) -> None:
        self.iflag = ICRNL | IXON
        self.oflag = OPOST | ONLCR
        self.cflag = B38400 | CS8 | CREAD
        self.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN
        self.line = 0
        self.cc = bytearray(FIRST_CC)
        self.speeds = (38400, 38400)
        self.locked = bytes(LAYOUT.size)

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

    def pack_old(self) -> bytes:
        """Return a struct termio."""
        flags = (self.iflag, self.oflag, self.cflag, self.lflag)
        return OLD_LAYOUT.pack(*[flag & 0xFFFF for flag in flags], self.line, self.cc[:8])

    def with_old(self, raw: bytes) -> bytes:
        """Return the struct termios that these settings become by a struct termio."""
        *low, line, first = OLD_LAYOUT.unpack(raw)
        flags = (self.iflag, self.oflag, self.cflag, self.lflag)
        mixed = [flag & 0xFFFF0000 | half for flag, half in zip(flags, low, strict=True)]
        return LAYOUT.pack(*mixed, line, first + self.cc[8:])

    def unpack(self, raw: bytes) -> None:
        """Take a struct termios, or termios2, over, but for what is locked."""
        before, speeds = self.pack(), self.speeds
        if len(raw) >= LAYOUT2.size:
            speeds = struct.unpack_from("<2I", raw, LAYOUT.size)
        cflag = struct.unpack_from("<I", raw, 8)[0]
        output = _speed(cflag & CBAUD, speeds[1])
        coded = cflag >> IBSHIFT & CBAUD
        self.speeds = (_speed(coded, speeds[0]) if coded else output, output)
        settings = LAYOUT.unpack(_kept(raw[: LAYOUT.size], before, self.locked))
        self.iflag, self.oflag, self.cflag, self.lflag, self.line, cc = settings
        self.cc = bytearray(cc)
        self.cflag = self.cflag & ~(CSIZE | PARENB) | CS8 | CREAD

    def is_char(self, byte: int, which: int) -> bool:
        """Tell whether a byte is one of the characters of c_cc."""
        return byte != DISABLED and self.cc[which] == byte
