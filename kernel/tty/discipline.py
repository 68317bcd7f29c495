"""The line discipline: what becomes of bytes that are typed. Source: termios(3), Linux's n_tty.

Owns the bytes that wait to be read, which of them end a line (ends), and how far whole lines go
(canon). Echoes go through `output` and then to the terminal's other side by echo(). A signal's
character calls signal(); flow(): XON or XOFF was typed.

    data   l i n e \\n l i n e 2 \\n u n f i n i s h e d
                                   ^ canon             ^ head
"""

from __future__ import annotations

from typing import Protocol

from pkern.kernel.tty.output import TAB_STOPS, Output, is_control
from pkern.kernel.tty.termios import (
    DISABLED,
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    ECHONL,
    ECHOPRT,
    EXTPROC,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    IUCLC,
    IXANY,
    IXON,
    NOFLSH,
    PARMRK,
    VEOF,
    VEOL,
    VEOL2,
    VERASE,
    VINTR,
    VKILL,
    VLNEXT,
    VQUIT,
    VREPRINT,
    VSTART,
    VSTOP,
    VSUSP,
    VWERASE,
    Termios,
)

ROOM = 4095  # bytes that wait to be read, at most
SIGINT, SIGQUIT, SIGTSTP = 2, 3, 20
SIGNALS = {VINTR: SIGINT, VQUIT: SIGQUIT, VSUSP: SIGTSTP}
NEWLINE, RETURN, TAB = 0x0A, 0x0D, 0x09
RUB_OUT = b"\b \b"
SHIFT = 0x40  # from a control character to the letter that echoes it


class Side(Protocol):
    """What stands around the discipline."""

    stopped: int  # XOFF was typed, or TCOOFF asked for

    def echo(self, data: bytes) -> None: ...
    def signal(self, signo: int) -> None: ...
    def flow(self, stopped: int) -> None: ...
    def flushed(self) -> None: ...


def _is_of_word(byte: int) -> bool:
    """Tell whether a byte is of a word, as VWERASE erases one."""
    return byte < 0x80 and (chr(byte).isalnum() or byte == ord("_"))


class LineDiscipline:
    """The input of one terminal."""

    def __init__(self, termios: Termios, side: Side) -> None:
        self.termios = termios
        self.side = side
        self.output = Output(termios)
        self.data = bytearray()
        self.ends = bytearray()  # beside each byte: whether it ends a line
        self.canon = 0
        self.literal_next = self.erasing = 0

    # ---- what the settings say ----

    def _local(self, bit: int) -> bool:
        return bool(self.termios.lflag & bit)

    def _input(self, bit: int) -> bool:
        return bool(self.termios.iflag & bit)

    def _is(self, byte: int, which: int) -> bool:
        return self.termios.is_char(byte, which)

    @property
    def by_lines(self) -> bool:
        """Whether a reader gets whole lines."""
        return self._local(ICANON) and not self._local(EXTPROC)

    def changed(self, old_lflag: int) -> None:
        """Note that the settings were changed; what waits becomes a line, or no line any more."""
        if not (old_lflag ^ self.termios.lflag) & (ICANON | EXTPROC):
            return
        self.ends = bytearray(len(self.data))
        self.canon = 0
        if self._local(ICANON) and self.data:
            self.ends[-1] = 1
            self.canon = len(self.data)
        self.erasing = self.literal_next = 0

    # ---- bytes come ----

    def room(self) -> int:
        """Return how many bytes may come; a line without an end has always room for one."""
        room = ROOM - len(self.data)
        return 1 if room <= 0 and self._local(ICANON) and not self.canon else max(0, room)

    def receive(self, data: bytes) -> None:
        """Take what was typed."""
        for byte in data:
            self._receive(byte)

    def _receive(self, byte: int) -> None:
        if len(self.data) > ROOM:
            del self.data[-1], self.ends[-1]
        if self._input(ISTRIP):
            byte &= 0x7F
        if self.literal_next:
            self.literal_next = 0
            self._plain(byte)
        elif self._local(EXTPROC):
            self._put(byte)
        else:
            if self._input(IUCLC) and self._local(IEXTEN) and 0x41 <= byte <= 0x5A:
                byte += 0x20
            self._typed(byte)

    def _typed(self, byte: int) -> None:
        if self._input(IXON) and (self._is(byte, VSTART) or self._is(byte, VSTOP)):
            self.side.flow(int(not self._is(byte, VSTART)))
            return
        if self._local(ISIG):
            for which, signo in SIGNALS.items():
                if self._is(byte, which):
                    self._interrupt(byte, signo)
                    return
        if self.side.stopped and self._input(IXON) and self._input(IXANY):
            self.side.flow(0)
        if byte == RETURN and self._input(IGNCR):
            return
        byte = self._as_meant(byte)
        if not (self._local(ICANON) and self._edit(byte)):
            self._plain(byte)

    def _as_meant(self, byte: int) -> int:
        """Return what an end of a line is taken for, any other byte as it is."""
        if byte == RETURN and self._input(ICRNL):
            return NEWLINE
        return RETURN if byte == NEWLINE and self._input(INLCR) else byte

    def _plain(self, byte: int) -> None:
        """Keep a byte that means nothing, and echo it."""
        if self._local(ECHO):
            self._finish_erasing()
            if byte == NEWLINE and self._local(ICANON):
                self._echo_raw(byte)
            else:
                self._mark_column()
                self._echo(byte)
        if byte == 0xFF and self._input(PARMRK):
            self._put(byte)
        self._put(byte)

    def _put(self, byte: int, ends: int = 0) -> None:
        self.data.append(byte)
        self.ends.append(ends)
        if ends:
            self.canon = len(self.data)

    def _interrupt(self, byte: int, signo: int) -> None:
        if not self._local(NOFLSH):
            self.flush()
            self.side.flushed()
        self.side.signal(signo)
        if self._input(IXON):
            self.side.flow(0)
        if self._local(ECHO):
            self._echo(byte)

    def flush(self) -> None:
        """Forget what waits to be read."""
        self.data.clear()
        self.ends.clear()
        self.canon = self.literal_next = self.erasing = 0

    # ---- lines ----

    def _edit(self, byte: int) -> bool:
        """Do what a byte means to who reads lines; tell whether it means anything."""
        extended = self._local(IEXTEN)
        erases = self._is(byte, VERASE) or self._is(byte, VKILL)
        if erases or (extended and self._is(byte, VWERASE)):
            self._erase(byte)
        elif extended and self._is(byte, VLNEXT):
            self._take_literally()
        elif extended and self._local(ECHO) and self._is(byte, VREPRINT):
            self._reprint(byte)
        elif byte == NEWLINE:
            if self._local(ECHO) or self._local(ECHONL):
                self._echo_raw(byte)
            self._put(byte, 1)
        elif self._is(byte, VEOF):
            self._put(DISABLED, 1)
        elif self._is(byte, VEOL) or (extended and self._is(byte, VEOL2)):
            if self._local(ECHO):
                self._mark_column()
                self._echo(byte)
            if byte == 0xFF and self._input(PARMRK):
                self._put(byte)
            self._put(byte, 1)
        else:
            return False
        return True

    def _take_literally(self) -> None:
        self.literal_next = 1
        if self._local(ECHO):
            self._finish_erasing()
            if self._local(ECHOCTL):
                self._echo_raw(ord("^"))
                self._echo_raw(ord("\b"))

    def _reprint(self, byte: int) -> None:
        self._finish_erasing()
        self._echo(byte)
        self._echo_raw(NEWLINE)
        for one in self.data[self.canon :]:
            self._echo(one)

    # ---- erasing ----

    def _erase(self, byte: int) -> None:
        """Erase a character, a word or all of the line that is typed."""
        if len(self.data) == self.canon:
            return
        if self._is(byte, VKILL) and self._kill(byte):
            return
        one = self._is(byte, VERASE)
        by_word = self._is(byte, VWERASE) and not one
        in_word = 0
        while len(self.data) > self.canon:
            start = self._last_start()
            first = self.data[start]
            if self.output.continues(first) or (by_word and in_word and not _is_of_word(first)):
                break
            in_word |= _is_of_word(first)
            gone = bytes(self.data[start:])
            del self.data[start:], self.ends[start:]
            if self._local(ECHO):
                self._rub_out(gone, byte)
            if one:
                break
        if len(self.data) == self.canon and self._local(ECHO):
            self._finish_erasing()

    def _kill(self, byte: int) -> bool:
        """Drop the line at once where that is all that is shown; tell whether it was done."""
        if not self._local(ECHO):
            self._drop_line()
            return True
        if self._local(ECHOK) and self._local(ECHOKE) and self._local(ECHOE):
            return False
        self._drop_line()
        self._finish_erasing()
        self._echo(byte)
        if self._local(ECHOK):
            self._echo_raw(NEWLINE)
        return True

    def _drop_line(self) -> None:
        del self.data[self.canon :], self.ends[self.canon :]

    def _last_start(self) -> int:
        """Return where the last character of the line begins."""
        start = len(self.data) - 1
        while start > self.canon and self.output.continues(self.data[start]):
            start -= 1
        return start

    def _rub_out(self, gone: bytes, byte: int) -> None:
        """Show that a character is gone, which another erases."""
        first = gone[0]
        if self._local(ECHOPRT):
            if not self.erasing:
                self._echo_raw(ord("\\"))
                self.erasing = 1
            self._echo(first)
            for byte in gone[1:]:
                self._echo_raw(byte)
        elif self._is(byte, VERASE) and not self._local(ECHOE):
            self._echo(byte)
        elif first == TAB:
            self._rub_out_tab()
        else:
            shown = self._local(ECHOCTL)
            if is_control(first) and shown:
                self._echo_bytes(RUB_OUT)
            if not is_control(first) or shown:
                self._echo_bytes(RUB_OUT)

    def _rub_out_tab(self) -> None:
        """Go back over as many columns as the tab took."""
        columns, after_tab = 0, 0
        for byte in reversed(self.data[self.canon :]):
            if byte == TAB:
                after_tab = 1
                break
            if is_control(byte):
                columns += 2 if self._local(ECHOCTL) else 0
            elif not self.output.continues(byte):
                columns += 1
        columns += 0 if after_tab else self.output.canon_column
        back = TAB_STOPS - columns % TAB_STOPS
        self.output.column -= min(back, self.output.column)
        self.side.echo(b"\b" * back)

    def _finish_erasing(self) -> None:
        if self.erasing:
            self._echo_raw(ord("/"))
            self.erasing = 0

    # ---- echoes ----

    def _mark_column(self) -> None:
        if len(self.data) == self.canon:
            self.output.canon_column = self.output.column

    def _echo(self, byte: int) -> None:
        """Echo a byte; a control character as ^X."""
        if self._local(ECHOCTL) and is_control(byte) and byte != TAB:
            self.output.column += 2
            self.side.echo(bytes((ord("^"), byte ^ SHIFT)))
        else:
            self._echo_raw(byte)

    def _echo_raw(self, byte: int) -> None:
        self.side.echo(self.output.processed(bytes((byte,))))

    def _echo_bytes(self, data: bytes) -> None:
        self.side.echo(self.output.processed(data))

    # ---- bytes are read ----

    @property
    def available(self) -> int:
        """Bytes that a reader can have: of lines, whole ones."""
        return self.canon if self.by_lines else len(self.data)

    def take(self, nbytes: int) -> bytes:
        """Return up to nbytes, of lines one at most; they are gone. An end of file has none."""
        if not self.by_lines:
            return self._cut(nbytes)
        end = self.ends.index(1) + 1
        found = self._cut(min(nbytes, end))
        if len(found) == end:
            return found[:-1] if self._was_eof(found) else found
        if len(found) == end - 1 and self.data[0] == DISABLED and self.ends[0]:
            self._cut(1)  # a reader who got all before it does not meet it again
        return found

    def _was_eof(self, line: bytes) -> bool:
        return line[-1] == DISABLED

    def _cut(self, nbytes: int) -> bytes:
        found = bytes(self.data[:nbytes])
        del self.data[:nbytes], self.ends[:nbytes]
        self.canon = max(0, self.canon - len(found))
        return found
