"""What a terminal makes of bytes that are written to it: OPOST. Source: termios(3), Linux's n_tty.

Owns the column that the cursor is in, which tabs and the erasing of tabs depend on.
"""

from __future__ import annotations

from pkern.kernel.tty.termios import (
    IUTF8,
    OCRNL,
    OLCUC,
    ONLCR,
    ONLRET,
    ONOCR,
    OPOST,
    TABDLY,
    Termios,
)

TAB_STOPS = 8


def is_control(byte: int) -> bool:
    """Tell whether a byte is a control character."""
    return byte < 0x20 or byte == 0x7F


class Output:
    """The cursor's column, and that in which the line that is typed began."""

    def __init__(self, termios: Termios) -> None:
        self.termios = termios
        self.column = self.canon_column = 0

    def processed(self, data: bytes) -> bytes:
        """Return what goes out for data."""
        if not self.termios.oflag & OPOST:
            return data
        return b"".join(map(self.one, data))

    def one(self, byte: int) -> bytes:
        """Return what goes out for a byte, by OPOST's rules."""
        special = SPECIAL.get(byte)
        if special is not None:
            return special(self)
        if self.termios.oflag & OLCUC:
            byte = ord(chr(byte).upper()) if 0x61 <= byte <= 0x7A else byte
        if not is_control(byte) and not self.continues(byte):
            self.column += 1
        return bytes((byte,))

    def continues(self, byte: int) -> bool:
        """Tell whether a byte is a later one of a character of UTF-8."""
        return bool(self.termios.iflag & IUTF8) and byte & 0xC0 == 0x80

    def _newline(self) -> bytes:
        flags = self.termios.oflag
        if flags & ONLRET:
            self.column = 0
        if flags & ONLCR:
            self.canon_column = self.column = 0
            return b"\r\n"
        self.canon_column = self.column
        return b"\n"

    def _return(self) -> bytes:
        flags = self.termios.oflag
        if flags & ONOCR and not self.column:
            return b""
        if flags & OCRNL:
            if flags & ONLRET:
                self.canon_column = self.column = 0
            return b"\n"
        self.canon_column = self.column = 0
        return b"\r"

    def _tab(self) -> bytes:
        spaces = TAB_STOPS - self.column % TAB_STOPS
        self.column += spaces
        return b" " * spaces if self.termios.oflag & TABDLY == TABDLY else b"\t"

    def _backspace(self) -> bytes:
        self.column -= self.column > 0
        return b"\b"


SPECIAL = {
    0x0A: Output._newline,
    0x0D: Output._return,
    0x09: Output._tab,
    0x08: Output._backspace,
}
