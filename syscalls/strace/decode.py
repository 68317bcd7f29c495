"""How strace shows arguments and results of system calls made by machine code.

A decoder gets a View (task, registers, and after the call its result) and the argument's place. A
decoder marked `after` reads what the call has stored, so its text is made when the call returns.
Formats are those of strace 6.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.numbers import counted
from pkern.kernel.tasks.signal.signals import NSIG
from pkern.kernel.tasks.signal.signames import Signal
from pkern.kernel.tasks.thread import INT80, entry_of
from pkern.kernel.tasks.trace import SYSGOOD
from pkern.syscalls.abi import signed32
from pkern.syscalls.flags import CLONE, FILE_KINDS, FUTEX, MAP, MAP_TYPES, MFD, OPEN, SA

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SHOWN_BYTES = 32
SHOWN_ITEMS = 32
INFINITY = (1 << 64) - 1
MASK_IN_FRAME = 296
HUGE_SHIFT = 26
FLAGS_MASK = (1 << HUGE_SHIFT) - 1
OCTAL_DIGITS = [b"%d" % digit for digit in range(8)]
SIMPLE_ESCAPES = {9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


class Memory(Protocol):
    """Where the arguments of a call lie. Errors: EFAULT."""

    def copy_in(self, addr: int, nbytes: int) -> bytes: ...

    def string_in(self, addr: int) -> str: ...


@dataclass(slots=True)
class View:
    """One system call: who makes it, its six registers, and its result once there is one.

    noted: a length in memory that the call may change, as it was before. values: the memory of a
    call made in Python; None: the task's own.
    """

    task: Task
    args: tuple[int, ...]
    result: int | None = None
    noted: int | None = None
    values: Memory | None = None

    @property
    def memory(self) -> Memory:
        """Where its pointers lead."""
        return self.values or self.task.mm

    @property
    def word(self) -> int:
        """The bytes of a pointer, or of a length, in an array of them."""
        return 4 if self.values is None and entry_of(self.task) is INT80 else 8

    @property
    def failed(self) -> bool:
        """Tell whether the call has returned an error."""
        return self.result is not None and self.result < 0


Decoder = Callable[[View, int], str]
AFTER: set[Decoder] = set()


def after(decoder: Decoder) -> Decoder:
    """Mark a decoder that shows what the call stores."""
    AFTER.add(decoder)
    return decoder


# ---- plain values ----


def address(value: int) -> str:
    """Return an address as strace shows it."""
    return hex(value) if value else "NULL"


def pointer(view: View, i: int) -> str:
    return address(view.args[i])


def number(view: View, i: int) -> str:
    return str(view.args[i])


def signed(view: View, i: int) -> str:
    value = view.args[i]
    return str(value - (1 << 64) if value >> 63 else value)


def integer(view: View, i: int) -> str:
    return str(signed32(view.args[i]))


def unsigned(view: View, i: int) -> str:
    return str(view.args[i] & 0xFFFF_FFFF)


def hexadecimal(view: View, i: int) -> str:
    return hex(view.args[i]) if view.args[i] else "0"


def octal(view: View, i: int) -> str:
    return f"0{view.args[i] & 0xFFFF_FFFF:o}" if view.args[i] else "000"


def directory(view: View, i: int) -> str:
    fd = signed32(view.args[i])
    return "AT_FDCWD" if fd == -100 else str(fd)


# ---- names of bits ----


def names(value: int, table: dict[str, int], none: str = "0") -> str:
    """Return the names of value's bits, joined; what has no name in hexadecimal."""
    parts = []
    for name, bits in table.items():
        if bits and value & bits == bits:
            parts.append(name)
            value &= ~bits
    if value:
        parts.append(hex(value))
    return "|".join(parts) or none


def flags(table: dict[str, int], none: str = "0") -> Decoder:
    """Return a decoder of a set of bits."""
    return lambda view, i: names(view.args[i] & 0xFFFF_FFFF, table, none)


def choice(table: dict[int, str], unknown: str) -> Decoder:
    """Return a decoder of one of several values."""

    def decode(view: View, i: int) -> str:
        value = signed32(view.args[i])
        return table.get(value) or f"{hex(value & 0xFFFF_FFFF)} /* {unknown} */"

    return decode


def with_page_size(text: str, value: int, family: str) -> str:
    """Return flags with the size of large pages that they ask for: its log2 is above the rest."""
    log = value >> HUGE_SHIFT
    parts = [text, f"{log}<<{family}_HUGE_SHIFT"] if log else [text]
    return "|".join(filter(None, parts))


def memfd_flags(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    return with_page_size(names(value & FLAGS_MASK, MFD, ""), value, "MFD") or "0"


def map_flags(view: View, i: int) -> str:
    return map_text(view.args[i] & 0xFFFF_FFFF)


def map_text(value: int) -> str:
    """Return mmap's flags."""
    kind, rest = value & 0xF, value & FLAGS_MASK & ~0xF
    first = MAP_TYPES.get(kind, hex(kind))
    return with_page_size(f"{first}|{names(rest, MAP)}" if rest else first, value, "MAP")


def open_text(value: int) -> str:
    """Return the flags of an open file."""
    mode = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[value & 3]
    rest = names(value & ~3, OPEN, "")
    return f"{mode}|{rest}" if rest else mode


def open_flags(view: View, i: int) -> str:
    return open_text(view.args[i] & 0xFFFF_FFFF)


def clone_flags(view: View, i: int) -> str:
    signo, rest = view.args[i] & 0xFF, view.args[i] & 0xFFFF_FF00
    parts = [names(rest, CLONE, "")] if rest else []
    if signo:
        parts.append(signal_name(signo))
    return "|".join(parts) or "0"


def futex_op(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    name = FUTEX.get(value & 127, hex(value & 127))
    name += "_PRIVATE" if value & 128 else ""
    return f"{name}|FUTEX_CLOCK_REALTIME" if value & 256 else name


# ---- text and bytes ----


def escaped(data: bytes) -> str:
    """Return bytes between quotes with C's escapes, octal ones as short as can be."""
    parts = []
    for place, byte in enumerate(data):
        if byte in SIMPLE_ESCAPES:
            parts.append(SIMPLE_ESCAPES[byte])
        elif 32 <= byte < 127:
            parts.append(chr(byte))
        else:
            digit_follows = data[place + 1 : place + 2] in OCTAL_DIGITS
            parts.append(f"\\{byte:03o}" if digit_follows else f"\\{byte:o}")
    return f'"{"".join(parts)}"'


def quoted(data: bytes) -> str:
    """Return bytes between quotes, shortened as strace shortens them."""
    return escaped(data[:SHOWN_BYTES]) + ("..." if len(data) > SHOWN_BYTES else "")


def memory(view: View, addr: int, nbytes: int) -> bytes | None:
    try:
        return view.memory.copy_in(addr, nbytes)
    except SyscallError:
        return None


def path(view: View, i: int) -> str:
    if not view.args[i]:
        return "NULL"
    try:
        text = view.memory.string_in(view.args[i])
    except SyscallError:
        return address(view.args[i])
    return escaped(text.encode("utf-8", "surrogateescape"))


def _bytes_at(view: View, addr: int, nbytes: int) -> str:
    data = memory(view, addr, min(nbytes, SHOWN_BYTES + 1)) if nbytes >= 0 else None
    return address(addr) if data is None else quoted(data)


def bytes_in(view: View, i: int) -> str:
    return _bytes_at(view, view.args[i], view.args[i + 1])


@after
def bytes_out(view: View, i: int) -> str:
    if view.failed or view.result is None:
        return address(view.args[i])
    return _bytes_at(view, view.args[i], view.result)


def _message(view: View, i: int, nbytes: int) -> str:
    kind = memory(view, view.args[i], 8) if view.args[i] else None
    if kind is None:
        return address(view.args[i])
    text = _bytes_at(view, view.args[i] + 8, nbytes)
    return f"{{mtype={int.from_bytes(kind, 'little', signed=True)}, mtext={text}}}"


def message_in(view: View, i: int) -> str:
    return _message(view, i, view.args[i + 1])


@after
def message_out(view: View, i: int) -> str:
    failed = view.failed or view.result is None
    return address(view.args[i]) if failed else _message(view, i, view.result or 0)


@after
def random_out(view: View, i: int) -> str:
    data = None
    if not view.failed:
        data = memory(view, view.args[i], min(view.result or 0, SHOWN_BYTES))
    if data is None:
        return address(view.args[i])
    more = "..." if (view.result or 0) > SHOWN_BYTES else ""
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"' + more


@after
def text_out(view: View, i: int) -> str:
    return address(view.args[i]) if view.failed else path(view, i)


def _words(view: View, addr: int) -> list[int] | None:
    """Return the pointers of an array that ends with NULL."""
    found: list[int] = []
    while True:
        raw = memory(view, addr + view.word * len(found), view.word)
        if raw is None:
            return None
        word = int.from_bytes(raw, "little")
        if not word:
            return found
        found.append(word)


def strings(view: View, i: int) -> str:
    words = _words(view, view.args[i]) if view.args[i] else None
    if words is None:
        return address(view.args[i])
    texts = []
    for word in words[:SHOWN_ITEMS]:
        try:
            text = view.memory.string_in(word).encode("utf-8", "surrogateescape")
            texts.append(quoted(text))
        except SyscallError:
            texts.append(address(word))
    more = ", ..." if len(words) > SHOWN_ITEMS else ""
    return f"[{', '.join(texts)}{more}]"


def environment(view: View, i: int) -> str:
    words = _words(view, view.args[i]) if view.args[i] else None
    if words is None:
        return address(view.args[i])
    return f"{address(view.args[i])} /* {counted(len(words), 'var')} */"


def vectors(view: View, i: int, limit: int) -> str:
    return vectors_at(view, view.args[i], view.args[i + 1], limit)


def vectors_at(view: View, addr: int, count: int, limit: int) -> str:
    """Return buffers and, of all of them together, limit bytes; below 0: where they are."""
    layout = struct.Struct("<QQ" if view.word == 8 else "<II")
    raw = memory(view, addr, layout.size * min(count, SHOWN_ITEMS))
    if raw is None:
        return address(addr)
    shown = []
    for base, length in layout.iter_unpack(raw):
        text = _bytes_at(view, base, min(length, limit)) if limit >= 0 else address(base)
        shown.append(f"{{iov_base={text}, iov_len={length}}}")
        limit -= min(length, limit) if limit >= 0 else 0
    return f"[{', '.join(shown)}]"


def vectors_in(view: View, i: int) -> str:
    return vectors(view, i, 1 << 62)


@after
def vectors_out(view: View, i: int) -> str:
    return vectors(view, i, -1 if view.result is None else view.result)


def addresses(view: View, i: int) -> str:
    """Show vectors of another address space."""
    return vectors(view, i, -1)


# ---- structures ----


def structure(layout: str, show: Callable[..., str]) -> Decoder:
    """Return a decoder of a struct that the call reads."""
    size = struct.calcsize(layout)

    def decode(view: View, i: int) -> str:
        raw = memory(view, view.args[i], size) if view.args[i] else None
        return address(view.args[i]) if raw is None else show(*struct.unpack(layout, raw))

    return decode


def stored(decoder: Decoder) -> Decoder:
    """Return a decoder of what a call stores, shown as decoder does if the call succeeded."""

    def decode(view: View, i: int) -> str:
        return address(view.args[i]) if view.failed else decoder(view, i)

    return after(decode)


def _stat_text(raw_mode: int, size: int, rdev: int) -> str:
    mode = f"{FILE_KINDS.get(stat.S_IFMT(raw_mode), '0')}|0{stat.S_IMODE(raw_mode):o}"
    if stat.S_ISCHR(raw_mode) or stat.S_ISBLK(raw_mode):
        device = f"makedev({os.major(rdev):#x}, {os.minor(rdev):#x})"
        return f"{{st_mode={mode}, st_rdev={device}, ...}}"
    return f"{{st_mode={mode}, st_size={size}, ...}}"


stat_out = stored(structure("<24xI12xQq", lambda mode, rdev, size: _stat_text(mode, size, rdev)))
timespec = structure("<qq", lambda s, ns: f"{{tv_sec={s}, tv_nsec={ns}}}")
timespec_out = stored(timespec)
timeval_out = stored(structure("<qq", lambda s, us: f"{{tv_sec={s}, tv_usec={us}}}"))


def _limit(value: int) -> str:
    if value == INFINITY:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


rlimit = structure("<QQ", lambda cur, top: f"{{rlim_cur={_limit(cur)}, rlim_max={_limit(top)}}}")
rlimit_out = stored(rlimit)
descriptors_out = stored(structure("<ii", lambda first, second: f"[{first}, {second}]"))


def _timer_text(*parts: int) -> str:
    pairs = [f"{{tv_sec={s}, tv_usec={us}}}" for s, us in zip(parts[::2], parts[1::2], strict=True)]
    return f"{{it_interval={pairs[0]}, it_value={pairs[1]}}}"


itimer = structure("<4q", _timer_text)
itimer_out = stored(itimer)


def _utsname(*fields: bytes) -> str:
    texts = [escaped(field.split(b"\0")[0]) for field in fields]
    return f"{{sysname={texts[0]}, nodename={texts[1]}, ...}}"


utsname_out = stored(structure("<65s65s65s65s65s65s", _utsname))


@after
def entries_out(view: View, i: int) -> str:
    if view.failed or view.result is None:
        return address(view.args[i])
    raw, count, place = memory(view, view.args[i], view.result) or b"", 0, 0
    while place + 18 <= len(raw):
        place += int.from_bytes(raw[place + 16 : place + 18], "little") or len(raw)
        count += 1
    return f"{address(view.args[i])} /* {count} entries */"


def wait_status_text(status: int) -> str:
    """Return a wait status as strace explains it."""
    if status == 0xFFFF:
        return "WIFCONTINUED(s)"
    if status & 0xFF == 0x7F:
        signo = status >> 8 & 0xFF
        call = " | 0x80" if signo & ~SYSGOOD == Signal.SIGTRAP and signo & SYSGOOD else ""
        shown = signal_name(signo & ~SYSGOOD if call else signo)
        return f"WIFSTOPPED(s) && WSTOPSIG(s) == {shown}{call}"
    if status & 0x7F:
        core = " && WCOREDUMP(s)" if status & 0x80 else ""
        return f"WIFSIGNALED(s) && WTERMSIG(s) == {signal_name(status & 0x7F)}{core}"
    return f"WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}"


@after
def wait_status(view: View, i: int) -> str:
    raw = memory(view, view.args[i], 4) if view.args[i] and (view.result or 0) > 0 else None
    if raw is None:
        return address(view.args[i])
    return f"[{{{wait_status_text(int.from_bytes(raw, 'little'))}}}]"


@after
def later_pointer(view: View, i: int) -> str:
    return address(view.args[i])


# ---- signals ----


def signal_name(signo: int) -> str:
    """Return SIGTERM, SIGRT_3 or the number."""
    return Signal(signo).name if 0 < signo <= NSIG else str(signo)


def signal_set(mask: int) -> str:
    """Return a set as strace does: its members, or with ~ those it lacks."""
    members = [n for n in range(1, NSIG + 1) if mask >> (n - 1) & 1]
    inverted = len(members) > NSIG * 2 // 3
    if inverted:
        members = [n for n in range(1, NSIG + 1) if not mask >> (n - 1) & 1]
    shown = " ".join(signal_name(n).removeprefix("SIG") for n in members)
    return f"~[{shown}]" if inverted else f"[{shown}]"


def signal(view: View, i: int) -> str:
    return signal_name(signed32(view.args[i]))


sigset = structure("<Q", signal_set)
sigset_out = stored(sigset)


def _sigaction_text(handler: int, bits: int, restorer: int, mask: int) -> str:
    shown = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler) or hex(handler)
    text = f"sa_handler={shown}, sa_mask={signal_set(mask)}, sa_flags={names(bits, SA)}"
    if bits & SA["SA_RESTORER"]:
        text += f", sa_restorer={hex(restorer)}"
    return f"{{{text}}}"


sigaction = structure("<4Q", _sigaction_text)
sigaction_out = stored(sigaction)


def saved_mask(view: View, i: int) -> str:
    """Show what rt_sigreturn takes from the frame below rsp."""
    raw = memory(view, view.task.cpu.registers()["rsp"] + MASK_IN_FRAME, 8)
    return f"{{mask={signal_set(int.from_bytes(raw, 'little'))}}}" if raw else "NULL"
