"""How strace shows arguments and results of system calls made by machine code.

A decoder gets a View (task, registers, and after the call its result) and the argument's place. A
decoder marked `after` reads what the call has stored, so its text is made when the call returns.
Formats are those of strace 6.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.signals import NSIG, Signal
from syscalls.abi import signed32
from syscalls.flags import (
    ACCESS,
    ADVICE,
    ARCH_PRCTL,
    AT_FLAGS,
    CLOCKS,
    CLONE,
    FCNTL,
    FUTEX,
    IOCTL,
    MAP,
    MAP_TYPES,
    MREMAP,
    MSYNC,
    OPEN,
    PRCTL,
    PROT,
    RESOURCES,
    SA,
    SIGNAL_HOW,
    TIMERS,
    WAIT,
    WHENCE,
)

if TYPE_CHECKING:
    from kernel.task import Task

SHOWN_BYTES = 32
SHOWN_ITEMS = 32
PATH_SHOWN = 4096
INFINITY = (1 << 64) - 1
MASK_IN_FRAME = 296
RTMIN = 32
OCTAL_DIGITS = [b"%d" % digit for digit in range(8)]
SIMPLE_ESCAPES = {9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


@dataclass(slots=True)
class View:
    """One system call: who makes it, its six registers, and its result once there is one."""

    task: Task
    args: tuple[int, ...]
    result: int | None = None

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


def map_flags(view: View, i: int) -> str:
    return map_text(view.args[i] & 0xFFFF_FFFF)


def map_text(value: int) -> str:
    """Return mmap's flags."""
    kind, rest = value & 0xF, value & ~0xF
    first = MAP_TYPES.get(kind, hex(kind))
    return f"{first}|{names(rest, MAP)}" if rest else first


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


def _memory(view: View, addr: int, nbytes: int) -> bytes | None:
    try:
        return view.task.mm.copy_in(addr, nbytes)
    except SyscallError:
        return None


def path(view: View, i: int) -> str:
    if not view.args[i]:
        return "NULL"
    try:
        text = view.task.mm.string_in(view.args[i])
    except SyscallError:
        return address(view.args[i])
    return escaped(text.encode("utf-8", "surrogateescape"))


def _bytes_at(view: View, addr: int, nbytes: int) -> str:
    data = _memory(view, addr, min(nbytes, SHOWN_BYTES + 1)) if nbytes >= 0 else None
    return address(addr) if data is None else quoted(data)


def bytes_in(view: View, i: int) -> str:
    return _bytes_at(view, view.args[i], view.args[i + 1])


@after
def bytes_out(view: View, i: int) -> str:
    if view.failed or view.result is None:
        return address(view.args[i])
    return _bytes_at(view, view.args[i], view.result)


@after
def random_out(view: View, i: int) -> str:
    data = None
    if not view.failed:
        data = _memory(view, view.args[i], min(view.result or 0, SHOWN_BYTES))
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
        raw = _memory(view, addr + 8 * len(found), 8)
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
            text = view.task.mm.string_in(word).encode("utf-8", "surrogateescape")
            texts.append(quoted(text))
        except SyscallError:
            texts.append(address(word))
    more = ", ..." if len(words) > SHOWN_ITEMS else ""
    return f"[{', '.join(texts)}{more}]"


def environment(view: View, i: int) -> str:
    words = _words(view, view.args[i]) if view.args[i] else None
    if words is None:
        return address(view.args[i])
    plural = "" if len(words) == 1 else "s"
    return f"{address(view.args[i])} /* {len(words)} var{plural} */"


def _vectors(view: View, i: int, limit: int) -> str:
    count = min(view.args[i + 1], SHOWN_ITEMS)
    raw = _memory(view, view.args[i], 16 * count)
    if raw is None:
        return address(view.args[i])
    shown = []
    for base, length in struct.iter_unpack("<QQ", raw):
        text = _bytes_at(view, base, min(length, limit)) if limit >= 0 else address(base)
        shown.append(f"{{iov_base={text}, iov_len={length}}}")
        limit -= min(length, limit) if limit >= 0 else 0
    return f"[{', '.join(shown)}]"


def vectors_in(view: View, i: int) -> str:
    return _vectors(view, i, 1 << 62)


@after
def vectors_out(view: View, i: int) -> str:
    return _vectors(view, i, -1 if view.result is None else view.result)


# ---- structures ----


def structure(layout: str, show: Callable[..., str]) -> Decoder:
    """Return a decoder of a struct that the call reads."""
    size = struct.calcsize(layout)

    def decode(view: View, i: int) -> str:
        raw = _memory(view, view.args[i], size) if view.args[i] else None
        return address(view.args[i]) if raw is None else show(*struct.unpack(layout, raw))

    return decode


def stored(decoder: Decoder) -> Decoder:
    """Return a decoder of what a call stores, shown as decoder does if the call succeeded."""

    def decode(view: View, i: int) -> str:
        return address(view.args[i]) if view.failed else decoder(view, i)

    return after(decode)


def _stat_text(raw_mode: int, size: int, rdev: int) -> str:
    kinds = {
        stat.S_IFREG: "S_IFREG",
        stat.S_IFDIR: "S_IFDIR",
        stat.S_IFCHR: "S_IFCHR",
        stat.S_IFBLK: "S_IFBLK",
        stat.S_IFIFO: "S_IFIFO",
        stat.S_IFLNK: "S_IFLNK",
        stat.S_IFSOCK: "S_IFSOCK",
    }
    mode = f"{kinds.get(stat.S_IFMT(raw_mode), '0')}|0{stat.S_IMODE(raw_mode):o}"
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
    raw, count, place = _memory(view, view.args[i], view.result) or b"", 0, 0
    while place + 18 <= len(raw):
        place += int.from_bytes(raw[place + 16 : place + 18], "little") or len(raw)
        count += 1
    return f"{address(view.args[i])} /* {count} entries */"


def wait_status_text(status: int) -> str:
    """Return a wait status as strace explains it."""
    if status == 0xFFFF:
        return "WIFCONTINUED(s)"
    if status & 0xFF == 0x7F:
        return f"WIFSTOPPED(s) && WSTOPSIG(s) == {signal_name(status >> 8 & 0xFF)}"
    if status & 0x7F:
        core = " && WCOREDUMP(s)" if status & 0x80 else ""
        return f"WIFSIGNALED(s) && WTERMSIG(s) == {signal_name(status & 0x7F)}{core}"
    return f"WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}"


@after
def wait_status(view: View, i: int) -> str:
    raw = _memory(view, view.args[i], 4) if view.args[i] and (view.result or 0) > 0 else None
    if raw is None:
        return address(view.args[i])
    return f"[{{{wait_status_text(int.from_bytes(raw, 'little'))}}}]"


@after
def later_pointer(view: View, i: int) -> str:
    return address(view.args[i])


# ---- signals ----


def signal_name(signo: int) -> str:
    """Return SIGTERM, SIGRT_3 or the number."""
    if signo in Signal._value2member_map_:
        return Signal(signo).name
    if signo == RTMIN:
        return "SIGRTMIN"
    return f"SIGRT_{signo - RTMIN}" if RTMIN < signo <= NSIG else str(signo)


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
    if bits & SA["SA_SIGINFO"]:
        text = text.replace("sa_handler", "sa_sigaction", 1)
    if bits & SA["SA_RESTORER"]:
        text += f", sa_restorer={hex(restorer)}"
    return f"{{{text}}}"


sigaction = structure("<4Q", _sigaction_text)
sigaction_out = stored(sigaction)


def saved_mask(view: View, i: int) -> str:
    """Show what rt_sigreturn takes from the frame below rsp."""
    raw = _memory(view, view.task.cpu.registers()["rsp"] + MASK_IN_FRAME, 8)
    return f"{{mask={signal_set(int.from_bytes(raw, 'little'))}}}" if raw else "NULL"


# ---- results ----

HEX_RESULTS = frozenset({"mmap", "mremap", "brk", "shmat"})


def fcntl_result(view: View) -> str:
    command, result = view.args[1], view.result or 0
    if command == 1:
        return "0x1 (flags FD_CLOEXEC)" if result else "0"
    if command == 3:
        return f"{hex(result)} (flags {open_text(result)})"
    return str(result)


def umask_result(view: View) -> str:
    return f"0{view.result or 0:o}"


RESULTS: dict[str, Callable[[View], str]] = {"fcntl": fcntl_result, "umask": umask_result}


def result_text(name: str, view: View) -> str:
    """Return what stands after ` = `."""
    result = view.result
    if result is None:
        return "?"
    if result < 0:
        code = errno.errorcode.get(-result, str(-result))
        return f"-1 {code} ({os.strerror(-result)})"
    if name in RESULTS:
        return RESULTS[name](view)
    return hex(result) if name in HEX_RESULTS else str(result)


# ---- the calls ----

CALLS: dict[str, tuple[Decoder, ...]] = {
    "read": (integer, bytes_out, number),
    "write": (integer, bytes_in, number),
    "open": (path, open_flags, octal),
    "openat": (directory, path, open_flags, octal),
    "creat": (path, octal),
    "close": (integer,),
    "stat": (path, stat_out),
    "lstat": (path, stat_out),
    "fstat": (integer, stat_out),
    "newfstatat": (directory, path, stat_out, flags(AT_FLAGS)),
    "lseek": (integer, signed, choice(WHENCE, "SEEK_???")),
    "mmap": (pointer, number, flags(PROT, "PROT_NONE"), map_flags, integer, hexadecimal),
    "mprotect": (pointer, number, flags(PROT, "PROT_NONE")),
    "munmap": (pointer, number),
    "brk": (pointer,),
    "rt_sigaction": (signal, sigaction, sigaction_out, number),
    "rt_sigprocmask": (choice(SIGNAL_HOW, "SIG_???"), sigset, sigset_out, number),
    "rt_sigpending": (sigset_out, number),
    "rt_sigsuspend": (sigset, number),
    "rt_sigreturn": (saved_mask,),
    "ioctl": (integer, choice(IOCTL, "???"), later_pointer),
    "pread64": (integer, bytes_out, number, signed),
    "pwrite64": (integer, bytes_in, number, signed),
    "readv": (integer, vectors_out, number),
    "writev": (integer, vectors_in, number),
    "access": (path, flags(ACCESS, "F_OK")),
    "faccessat": (directory, path, flags(ACCESS, "F_OK")),
    "faccessat2": (directory, path, flags(ACCESS, "F_OK"), flags(AT_FLAGS)),
    "pipe": (descriptors_out,),
    "pipe2": (descriptors_out, flags(OPEN)),
    "sched_yield": (),
    "mremap": (pointer, number, number, flags(MREMAP), pointer),
    "msync": (pointer, number, flags(MSYNC)),
    "mincore": (pointer, number, later_pointer),
    "madvise": (pointer, number, choice(ADVICE, "MADV_???")),
    "mlock": (pointer, number),
    "munlock": (pointer, number),
    "dup": (integer,),
    "dup2": (integer, integer),
    "dup3": (integer, integer, flags(OPEN)),
    "pause": (),
    "nanosleep": (timespec, later_pointer),
    "clock_nanosleep": (choice(CLOCKS, "CLOCK_???"), integer, timespec, later_pointer),
    "getitimer": (choice(TIMERS, "ITIMER_???"), itimer_out),
    "setitimer": (choice(TIMERS, "ITIMER_???"), itimer, itimer_out),
    "alarm": (number,),
    "getpid": (),
    "clone": (clone_flags, pointer, pointer, pointer, pointer),
    "fork": (),
    "vfork": (),
    "execve": (path, strings, environment),
    "exit": (integer,),
    "exit_group": (integer,),
    "wait4": (integer, wait_status, flags(WAIT), later_pointer),
    "kill": (integer, signal),
    "tkill": (integer, signal),
    "tgkill": (integer, integer, signal),
    "uname": (utsname_out,),
    "fcntl": (integer, choice(FCNTL, "F_???"), hexadecimal),
    "fsync": (integer,),
    "truncate": (path, signed),
    "ftruncate": (integer, signed),
    "getdents64": (integer, entries_out, number),
    "getcwd": (text_out, number),
    "chdir": (path,),
    "fchdir": (integer,),
    "rename": (path, path),
    "mkdir": (path, octal),
    "mkdirat": (directory, path, octal),
    "rmdir": (path,),
    "link": (path, path),
    "unlink": (path,),
    "unlinkat": (directory, path, flags(AT_FLAGS)),
    "symlink": (path, path),
    "readlink": (path, bytes_out, number),
    "readlinkat": (directory, path, bytes_out, number),
    "chmod": (path, octal),
    "fchmod": (integer, octal),
    "fchmodat": (directory, path, octal),
    "chown": (path, integer, integer),
    "umask": (octal,),
    "gettimeofday": (timeval_out, later_pointer),
    "getrlimit": (choice(RESOURCES, "RLIMIT_???"), rlimit_out),
    "setrlimit": (choice(RESOURCES, "RLIMIT_???"), rlimit),
    "prlimit64": (integer, choice(RESOURCES, "RLIMIT_???"), rlimit, rlimit_out),
    "setuid": (number,),
    "setgid": (number,),
    "setpgid": (integer, integer),
    "getpgid": (integer,),
    "getsid": (integer,),
    "sigaltstack": (pointer, later_pointer),
    "prctl": (choice(PRCTL, "PR_???"), hexadecimal),
    "arch_prctl": (choice(ARCH_PRCTL, "ARCH_???"), pointer),
    "futex": (pointer, futex_op, integer, pointer),
    "remap_file_pages": (pointer, number, flags(PROT, "0"), number, map_flags),
    "set_tid_address": (pointer,),
    "clock_gettime": (choice(CLOCKS, "CLOCK_???"), timespec_out),
    "set_robust_list": (pointer, number),
    "rseq": (pointer, hexadecimal, number, hexadecimal),
    "getrandom": (random_out, number, flags({"GRND_NONBLOCK": 1, "GRND_RANDOM": 2})),
    "memfd_create": (path, flags({"MFD_CLOEXEC": 1, "MFD_ALLOW_SEALING": 2})),
    "rt_sigtimedwait": (sigset, later_pointer, timespec, number),
    "times": (later_pointer,),
}  # fmt: skip
WITHOUT_ARGUMENTS = frozenset(
    {
        "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp",
        "setsid", "fork", "vfork", "pause", "sched_yield", "sync", "munlockall",
    }
)  # fmt: skip
CREATING = 0o100
OPTIONAL_MODE = {"open": 1, "openat": 2}


def decoders_of(name: str, view: View, count: int) -> tuple[Decoder, ...]:
    """Return the decoders of a call's arguments. count: how many registers its handler takes."""
    if name in WITHOUT_ARGUMENTS:
        return ()
    chosen = CALLS.get(name, (hexadecimal,) * count)
    place = OPTIONAL_MODE.get(name)
    if place is not None and not view.args[place] & CREATING:
        return chosen[:-1]
    if name == "fcntl" and view.args[1] in (1, 3, 1034):
        return chosen[:2]
    if name == "fcntl" and view.args[1] == 4:
        return (*chosen[:2], open_flags)
    if name == "mremap" and not view.args[3] & 6:
        return chosen[:4]
    if name == "futex" and view.args[1] & 127 in (1, 10):
        return chosen[:3]
    if name == "clone":
        return clone_decoders(view)
    return chosen


def _named(name: str, decoder: Decoder) -> Decoder:
    return lambda view, i: f"{name}={decoder(view, i)}"


def _tid(view: View, i: int) -> str:
    return f"child_tidptr={address(view.args[3])}"


def clone_decoders(view: View) -> tuple[Decoder, ...]:
    """Return how strace shows clone: its order of arguments, and only those that count."""
    shown: list[Decoder] = [
        lambda v, i: f"child_stack={address(v.args[1])}",
        lambda v, i: f"flags={clone_flags(v, 0)}",
    ]
    if view.args[0] & 0x100000:
        shown.append(lambda v, i: f"parent_tid={address(v.args[2])}")
    if view.args[0] & 0x80000:
        shown.append(lambda v, i: f"tls={address(v.args[4])}")
    if view.args[0] & (0x1000000 | 0x200000):
        shown.append(_tid)
    return tuple(shown)
