"""How strace shows the rarer structures: polled descriptors, times, identities, news of children.

The decoders follow decode.py's rules.
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable

from kernel.credentials import CAPS
from kernel.signals import SYNCHRONOUS, SigInfo, Signal
from syscalls.decode import (
    SHOWN_ITEMS,
    Decoder,
    View,
    address,
    after,
    escaped,
    memory,
    names,
    signal_name,
    signal_set,
    stored,
    structure,
)
from syscalls.flags import (
    CLONE,
    FAULT_CODES,
    FILE_KINDS,
    IPC_CREATE,
    POLL,
    PRCTL_DUMPABLE,
    SIGNAL_CODES,
    SIGNAL_STACK,
    SOCKET_FLAGS,
    SOCKET_TYPES,
    STATFS,
    STATFS_MAGIC,
)

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
CAPABILITY_VERSION_3 = 0x20080522
AF_UNIX = 1
S_IFCHR, S_IFBLK = 0o020000, 0o060000


# ---- arrays ----


def items(view: View, addr: int, count: int, layout: str, show: Callable[..., str]) -> str:
    """Return an array between brackets, its address where it cannot be read."""
    size = struct.calcsize(layout)
    raw = memory(view, addr, size * min(count, SHOWN_ITEMS)) if addr else None
    if raw is None:
        return address(addr)
    shown = [show(*fields) for fields in struct.iter_unpack(layout, raw)]
    more = ["..."] if count > SHOWN_ITEMS else []
    return f"[{', '.join(shown + more)}]"


def groups_in(view: View, i: int) -> str:
    return items(view, view.args[i], view.args[i - 1] & 0xFFFF_FFFF, "<I", str)


@after
def groups_out(view: View, i: int) -> str:
    if view.failed or not view.args[i - 1]:
        return address(view.args[i])
    return items(view, view.args[i], view.result or 0, "<I", str)


@after
def residency_out(view: View, i: int) -> str:
    if view.failed:
        return address(view.args[i])
    return items(view, view.args[i], (view.args[i - 1] + 4095) // 4096, "<B", lambda b: str(b & 1))


def word(layout: str, show: Callable[..., str] = str) -> Decoder:
    """Return a decoder of one value behind a pointer."""
    return structure(layout, lambda value: f"[{show(value)}]")


int_in = word("<i")
int_out = stored(int_in)
address_out = stored(word("<Q", address))
size_out = stored(word("<Q"))
offset_in = word("<q")


@after
def moved_offset(view: View, i: int) -> str:
    """Show an offset that the call has moved by its result."""
    raw = memory(view, view.args[i], 8) if view.args[i] else None
    if raw is None:
        return address(view.args[i])
    value = int.from_bytes(raw, "little", signed=True)
    if view.failed or not view.result:
        return f"[{value}]"
    return f"[{value - view.result}] => [{value}]"


def _processors(view: View, addr: int, nbytes: int) -> str:
    raw = memory(view, addr, nbytes) if 0 < nbytes <= 4096 else None
    if raw is None:
        return address(addr)
    mask = int.from_bytes(raw, "little")
    return f"[{' '.join(str(n) for n in range(8 * nbytes) if mask >> n & 1)}]"


def processors_in(view: View, i: int) -> str:
    return _processors(view, view.args[i], view.args[i - 1])


@after
def processors_out(view: View, i: int) -> str:
    return _processors(view, view.args[i], view.result or 0)


# ---- files ----


def mode_text(mode: int) -> str:
    """Return the mode of a new node."""
    kind = FILE_KINDS.get(mode & 0o170000)
    shown = f"0{mode & 0o7777:o}"
    return f"{kind}|{shown}" if kind else shown


def node_mode(view: View, i: int) -> str:
    return mode_text(view.args[i] & 0xFFFF)


def device(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    return f"makedev({value >> 8 & 0xFFF:#x}, {(value & 0xFF) | (value >> 12 & 0xFFF00):#x})"


def has_device(mode: int) -> bool:
    """Tell whether mknod's last argument counts."""
    return mode & 0o170000 in (S_IFCHR, S_IFBLK)


def _date(seconds: int, part: int = 0, digits: int = 9) -> str:
    try:
        date = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    fraction = f".{part:0{digits}}" if part else ""
    return f"{date:%Y-%m-%dT%H:%M:%S}{fraction}+0000"


def _file_time(seconds: int, nanoseconds: int) -> str:
    special = {UTIME_NOW: "UTIME_NOW", UTIME_OMIT: "UTIME_OMIT"}.get(nanoseconds)
    text = f"{{tv_sec={seconds}, tv_nsec={nanoseconds}}}"
    return special or f"{text} /* {_date(seconds, nanoseconds)} */"


def file_times(view: View, i: int) -> str:
    return items(view, view.args[i], 2, "<qq", _file_time)


def file_timevals(view: View, i: int) -> str:
    def show(seconds: int, microseconds: int) -> str:
        text = f"{{tv_sec={seconds}, tv_usec={microseconds}}}"
        return f"{text} /* {_date(seconds, microseconds, 6)} */"

    return items(view, view.args[i], 2, "<qq", show)


def _statfs(*f: int) -> str:
    kind = STATFS_MAGIC.get(f[0], hex(f[0]))
    return (
        f"{{f_type={kind}, f_bsize={f[1]}, f_blocks={f[2]}, f_bfree={f[3]}, f_bavail={f[4]}, "
        f"f_files={f[5]}, f_ffree={f[6]}, f_fsid={{val=[{f[7]:#x}, {f[8]:#x}]}}, "
        f"f_namelen={f[9]}, f_frsize={f[10]}, f_flags={names(f[11], STATFS)}}}"
    )


statfs_out = stored(structure("<7q2I3q", _statfs))


# ---- polling ----


def _polled(view: View, show: Callable[[int, int, int], str]) -> str:
    return items(view, view.args[0], view.args[1] & 0xFFFF_FFFF, "<iHH", show)


def pollfds(view: View, i: int) -> str:
    def show(fd: int, events: int, revents: int) -> str:
        return f"{{fd={fd}, events={names(events, POLL)}}}" if fd >= 0 else f"{{fd={fd}}}"

    return _polled(view, show)


def _ready(view: View) -> str:
    raw = memory(view, view.args[0], 8 * (view.args[1] & 0xFFFF_FFFF)) or b""
    shown = [
        f"{{fd={fd}, revents={names(revents, POLL)}}}"
        for fd, _, revents in struct.iter_unpack("<iHH", raw)
        if revents
    ]
    return f"[{', '.join(shown)}]"


def _left(view: View, place: int, unit: str) -> str:
    raw = memory(view, view.args[place], 16) if view.args[place] else None
    if raw is None:
        return ""
    seconds, rest = struct.unpack("<qq", raw)
    return f"left {{tv_sec={seconds}, {unit}={rest}}}"


def _ready_text(view: View, ready: str, left: str) -> str:
    if not view.result:
        return "0 (Timeout)"
    return f"{view.result} ({', '.join(part for part in (ready, left) if part)})"


def poll_result(view: View) -> str:
    """Return what poll found."""
    return _ready_text(view, _ready(view), "")


def ppoll_result(view: View) -> str:
    """Return what ppoll found, and the time that is left."""
    return _ready_text(view, _ready(view), _left(view, 2, "tv_nsec"))


def _set_members(view: View, place: int) -> str | None:
    count = min(view.args[0] & 0xFFFF_FFFF, 1024)
    raw = memory(view, view.args[place], -(-count // 64) * 8) if view.args[place] else None
    if raw is None:
        return None
    bits = int.from_bytes(raw, "little")
    return f"[{' '.join(str(fd) for fd in range(count) if bits >> fd & 1)}]"


def descriptors(view: View, i: int) -> str:
    return _set_members(view, i) or address(view.args[i])


def _select_text(view: View, unit: str) -> str:
    shown = []
    for place, title in ((1, "in"), (2, "out"), (3, "except")):
        members = _set_members(view, place)
        if members not in (None, "[]"):
            shown.append(f"{title} {members}")
    return _ready_text(view, ", ".join(shown), _left(view, 4, unit))


def select_result(view: View) -> str:
    """Return what select found."""
    return _select_text(view, "tv_usec")


def pselect_result(view: View) -> str:
    """Return what pselect6 found."""
    return _select_text(view, "tv_nsec")


def _mask_pair(view: View, i: int) -> str:
    raw = memory(view, view.args[i], 16) if view.args[i] else None
    if raw is None:
        return address(view.args[i])
    where, size = struct.unpack("<QQ", raw)
    mask = memory(view, where, 8) if where else None
    shown = signal_set(int.from_bytes(mask, "little")) if mask else address(where)
    return f"{{sigmask={shown}, sigsetsize={size}}}"


mask_pair: Decoder = _mask_pair


# ---- identities ----


def _capability_header(version: int, pid: int) -> str:
    known = version == CAPABILITY_VERSION_3
    shown = "_LINUX_CAPABILITY_VERSION_3" if known else f"{version:#x}"
    return f"{{version={shown}, pid={pid}}}"


capability_header = structure("<Ii", _capability_header)


def _capability_set(low: int, high: int) -> str:
    mask = low | high << 32
    return "|".join(f"1<<{name}" for n, name in enumerate(CAPS) if mask >> n & 1) or "0"


def _capabilities(*words: int) -> str:
    sets = [_capability_set(words[n], words[n + 3]) for n in range(3)]
    return f"{{effective={sets[0]}, permitted={sets[1]}, inheritable={sets[2]}}}"


capabilities = structure("<6I", _capabilities)
capabilities_out = stored(capabilities)


def dumpable(view: View, i: int) -> str:
    return PRCTL_DUMPABLE.get(view.args[i], hex(view.args[i]))


# ---- time and use ----


def clock_result(view: View) -> str:
    """Return seconds since 1970 with their date."""
    return f"{view.result} ({_date(view.result or 0)})"


seconds_out = stored(word("<q", lambda value: f"{value} /* {_date(value)} */"))
timeval = structure("<qq", lambda s, us: f"{{tv_sec={s}, tv_usec={us}}}")


def _usage(*f: int) -> str:
    user, system = (f"{{tv_sec={s}, tv_usec={us}}}" for s, us in (f[:2], f[2:4]))
    return f"{{ru_utime={user}, ru_stime={system}, ...}}"


usage_out = stored(structure("<4q", _usage))


def _tms(*f: int) -> str:
    titles = ("tms_utime", "tms_stime", "tms_cutime", "tms_cstime")
    shown = (f"{title}={value}" for title, value in zip(titles, f, strict=True))
    return f"{{{', '.join(shown)}}}"


tms_out = stored(structure("<4q", _tms))


def _sysinfo(*f: int) -> str:
    titles = ("totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap", "procs",
              "totalhigh", "freehigh", "mem_unit")  # fmt: skip
    shown = [f"{title}={value}" for title, value in zip(titles, f[4:], strict=True)]
    loads = ", ".join(str(load) for load in f[1:4])
    return f"{{uptime={f[0]}, loads=[{loads}], {', '.join(shown)}}}"


sysinfo_out = stored(structure("<q3Q6QH6xQQI", _sysinfo))


# ---- signals and children ----


def siginfo_text(info: SigInfo) -> str:
    """Return siginfo_t as strace shows it."""
    signo, code = info.si_signo, info.si_code
    name = FAULT_CODES.get(signo, {}).get(code) or SIGNAL_CODES.get(code) or str(code)
    parts = [f"si_signo={signal_name(signo)}", f"si_code={name}"]
    if signo == Signal.SIGCHLD and code > 0:
        status = signal_name(info.si_status) if code > 1 else str(info.si_status)
        parts += [f"si_pid={info.si_pid}", f"si_uid={info.si_uid}", f"si_status={status}"]
        parts += ["si_utime=0", "si_stime=0"]
    elif signo in SYNCHRONOUS and code > 0:
        parts.append(f"si_addr={address(info.si_addr)}")
    elif code <= 0:
        parts += [f"si_pid={info.si_pid}", f"si_uid={info.si_uid}"]
    return f"{{{', '.join(parts)}}}"


def _stored_siginfo(signo: int, code: int, pid: int, uid: int, status: int) -> str:
    fault = pid & 0xFFFF_FFFF | (uid << 32)
    info = SigInfo(signo, code, fault, pid, uid, status)
    return siginfo_text(info) if signo else "{}"


siginfo_in = structure("<i4xi4xiIi", _stored_siginfo)


@after
def siginfo_out(view: View, i: int) -> str:
    return address(view.args[i]) if view.failed else siginfo_in(view, i)


def signal_result(view: View) -> str:
    """Return a signal's number and name."""
    return f"{view.result} ({signal_name(view.result or 0)})"


def _stack(base: int, flags: int, size: int) -> str:
    bits = names(flags & 0xFFFF_FFFF, SIGNAL_STACK)
    return f"{{ss_sp={address(base)}, ss_flags={bits}, ss_size={size}}}"


signal_stack = structure("<Qi4xQ", _stack)
signal_stack_out = stored(signal_stack)


def clone_arguments(view: View, i: int) -> str:
    raw = memory(view, view.args[i], 64)
    if raw is None:
        return address(view.args[i])
    bits, _, child_tid, parent_tid, signo, stack, size, tls = struct.unpack("<8Q", raw)
    parts = [f"flags={names(bits, CLONE)}"]
    if bits & (CLONE["CLONE_CHILD_SETTID"] | CLONE["CLONE_CHILD_CLEARTID"]):
        parts.append(f"child_tid={address(child_tid)}")
    if bits & CLONE["CLONE_PARENT_SETTID"]:
        parts.append(f"parent_tid={address(parent_tid)}")
    parts += [f"exit_signal={signal_name(signo)}", f"stack={address(stack)}"]
    parts.append(f"stack_size={size:#x}" if size else "stack_size=0")
    if bits & CLONE["CLONE_SETTLS"]:
        parts.append(f"tls={address(tls)}")
    return f"{{{', '.join(parts)}}}"


# ---- shared memory and sockets ----


def ipc_key(view: View, i: int) -> str:
    return hex(view.args[i] & 0xFFFF_FFFF) if view.args[i] else "IPC_PRIVATE"


def ipc_flags(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    mode = f"{value & 0o777:#05o}".replace("0o", "0") if value & 0o777 else "000"
    return f"{names(value & ~0o777, IPC_CREATE)}|{mode}" if value & ~0o777 else mode


def socket_type(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    kind = SOCKET_TYPES.get(value & 0xF, hex(value & 0xF))
    return f"{kind}|{names(value & ~0xF, SOCKET_FLAGS)}" if value & ~0xF else kind


def socket_address(view: View, i: int) -> str:
    raw = memory(view, view.args[i], min(view.args[i + 1] & 0xFFFF_FFFF, 110))
    if raw is None or len(raw) < 2 or int.from_bytes(raw[:2], "little") != AF_UNIX:
        return address(view.args[i])
    name = raw[2:]
    if name[:1] == b"\0":
        return f"{{sa_family=AF_UNIX, sun_path=@{escaped(name[1:])}}}"
    text = name.split(b"\0")[0]
    return f"{{sa_family=AF_UNIX, sun_path={escaped(text)}}}" if text else "{sa_family=AF_UNIX}"
