"""How strace shows the rarer structures: polled descriptors, times, identities, news of children.

The decoders follow decode.py's rules.
"""

from __future__ import annotations

import datetime
import errno
import struct
from collections.abc import Callable

from pkern.kernel.tasks.credentials import CAPS
from pkern.kernel.tasks.signal.signals import SI_QUEUE, SYNCHRONOUS, SigInfo
from pkern.kernel.tasks.signal.signames import Signal
from pkern.syscalls.abi import signed32
from pkern.syscalls.flags import (
    AT_FLAGS,
    CLONE,
    FAULT_CODES,
    FILE_KINDS,
    IPC_CREATE,
    MPOL_MODE_FLAGS,
    MPOL_MODES,
    PERSONALITY,
    PERSONALITY_KINDS,
    POLICIES,
    PRCTL_DUMPABLE,
    PRIORITY_CLASSES,
    RESOLVE,
    SCHED_FLAGS,
    SEM_OPERATION,
    SIGNAL_CODES,
    SIGNAL_STACK,
    STATFS,
    STATFS_MAGIC,
    STATX,
    STATX_ATTRIBUTES,
    STATX_SYNC,
    TIME_STAMPS,
)
from pkern.syscalls.strace.decode import (
    FLAGS_MASK,
    SHOWN_ITEMS,
    Decoder,
    View,
    address,
    after,
    memory,
    names,
    open_text,
    signal_name,
    stored,
    structure,
    with_page_size,
)

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
CAPABILITY_VERSION_3 = 0x20080522
O_CREAT, STATX_SYNC_MASK = 0o100, 0x6000
S_IFCHR, S_IFBLK = 0o020000, 0o060000


# ---- arrays ----

SI_TIMER = -2


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


# ---- memory policy ----


def policy_word(mode: int) -> str:
    """Return a mode with its flags."""
    flags = sum(MPOL_MODE_FLAGS.values())
    bare = mode & 0xFFFF_FFFF & ~flags
    word = MPOL_MODES.get(bare) or f"{bare:#x} /* MPOL_??? */"
    return "|".join([word] + [names(mode & flags, MPOL_MODE_FLAGS, "")] * bool(mode & flags))


def policy_mode(view: View, i: int) -> str:
    return policy_word(view.args[i])


def _nodes(view: View, addr: int, maxnode: int) -> str:
    count = (maxnode - 1 + 63) % (1 << 64) // 64
    return items(view, addr, count, "<Q", lambda mask: f"{mask:#018x}")


def nodes_in(view: View, i: int) -> str:
    return _nodes(view, view.args[i], view.args[i + 1])


nodes_out = stored(nodes_in)


def old_nodes(view: View, i: int) -> str:
    return _nodes(view, view.args[i], view.args[i - 1])


def new_nodes(view: View, i: int) -> str:
    return _nodes(view, view.args[i], view.args[i - 2])


def page_addresses(view: View, i: int) -> str:
    return items(view, view.args[i], view.args[i - 1], "<Q", address)


def page_nodes(view: View, i: int) -> str:
    return items(view, view.args[i], view.args[i - 2], "<i", str)


@after
def page_status(view: View, i: int) -> str:
    if view.failed:
        return address(view.args[i])
    return items(view, view.args[i], view.args[i - 3], "<i", _page_status)


def _page_status(status: int) -> str:
    return f"-{errno.errorcode.get(-status, -status)}" if status < 0 else str(status)


def word(layout: str, show: Callable[..., str] = str) -> Decoder:
    """Return a decoder of one value behind a pointer."""
    return structure(layout, lambda value: f"[{show(value)}]")


def _window(rows: int, columns: int, width: int, height: int) -> str:
    return f"{{ws_row={rows}, ws_col={columns}, ws_xpixel={width}, ws_ypixel={height}}}"


def _cache_range(offset: int, length: int) -> str:
    return f"{{off={offset}, len={length}}}"


def _cache_counts(cache: int, dirty: int, writeback: int, evicted: int, recently: int) -> str:
    return (
        f"{{nr_cache={cache}, nr_dirty={dirty}, nr_writeback={writeback}, "
        f"nr_evicted={evicted}, nr_recently_evicted={recently}}}"
    )


cache_range = structure("<QQ", _cache_range)
cache_counts_out = stored(structure("<5Q", _cache_counts))
window = structure("<4H", _window)
window_out = stored(window)
int_in = word("<i")
int_out = stored(int_in)
policy_mode_out = stored(word("<i", policy_word))
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


def _utimbuf(accessed: int, modified: int) -> str:
    return (
        f"{{actime={accessed} /* {_date(accessed)} */, modtime={modified} /* {_date(modified)} */}}"
    )


utimbuf = structure("<qq", _utimbuf)


def statx_flags(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    how, rest = value & STATX_SYNC_MASK, names(value & ~STATX_SYNC_MASK, AT_FLAGS, "")
    return "|".join(part for part in (STATX_SYNC.get(how, hex(how)), rest) if part)


def _statx(mask: int, attributes: int, mode: int, size: int) -> str:
    return (
        f"{{stx_mask={names(mask, STATX)}, stx_attributes={names(attributes, STATX_ATTRIBUTES)}, "
        f"stx_mode={mode_text(mode)}, stx_size={size}, ...}}"
    )


statx_out = stored(structure("<I4xQ12xH10xQ", _statx))


def _open_how(flags: int, mode: int, resolve: int) -> str:
    shown = f", mode={mode:#05o}".replace("0o", "0") if flags & O_CREAT else ""
    return f"{{flags={open_text(flags)}{shown}, resolve={names(resolve, RESOLVE)}}}"


open_how = structure("<3Q", _open_how)


def _statfs(*f: int) -> str:
    kind = STATFS_MAGIC.get(f[0], hex(f[0]))
    return (
        f"{{f_type={kind}, f_bsize={f[1]}, f_blocks={f[2]}, f_bfree={f[3]}, f_bavail={f[4]}, "
        f"f_files={f[5]}, f_ffree={f[6]}, f_fsid={{val=[{f[7]:#x}, {f[8]:#x}]}}, "
        f"f_namelen={f[9]}, f_frsize={f[10]}, f_flags={names(f[11], STATFS)}}}"
    )


statfs_out = stored(structure("<7q2I3q", _statfs))


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


def capability(view: View, i: int) -> str:
    value = view.args[i]
    return CAPS[value] if value < len(CAPS) else f"{value:#x} /* CAP_??? */"


time_stamps_out = stored(word("<i", lambda value: TIME_STAMPS.get(value, hex(value))))


def dumpable(view: View, i: int) -> str:
    return PRCTL_DUMPABLE.get(view.args[i], hex(view.args[i]))


def personality_text(value: int) -> str:
    """Return an execution domain with its bits."""
    if value == (1 << 32) - 1:
        return hex(value)
    kind, rest = value & 0xFF, names(value & ~0xFF, PERSONALITY, "")
    return "|".join(part for part in (PERSONALITY_KINDS.get(kind, hex(kind)), rest) if part)


def personality(view: View, i: int) -> str:
    return personality_text(view.args[i] & 0xFFFF_FFFF)


def io_priority_text(value: int) -> str:
    """Return a class of input and output with its level."""
    kind = PRIORITY_CLASSES.get(value >> 13, hex(value >> 13))
    return f"IOPRIO_PRIO_VALUE({kind}, {value & 0x1FFF})"


def io_priority(view: View, i: int) -> str:
    return io_priority_text(view.args[i] & 0xFFFF_FFFF)


def _sched_attr(size: int, policy: int, bits: int, nice: int, *rest: int) -> str:
    titles = ("priority", "runtime", "deadline", "period")
    shown = [f"size={size}", f"sched_policy={POLICIES.get(policy, hex(policy))}"]
    shown += [f"sched_flags={names(bits, SCHED_FLAGS)}", f"sched_nice={nice}"]
    shown += [f"sched_{title}={value}" for title, value in zip(titles, rest, strict=True)]
    return f"{{{', '.join(shown)}}}"


sched_attr = structure("<IIQiIQQQ", _sched_attr)
sched_attr_out = stored(sched_attr)


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
    elif code == SI_TIMER:
        parts += [f"si_timerid={info.si_pid:#x}", f"si_overrun={info.si_uid}"]
    elif info.si_band:
        parts += [f"si_band={info.si_band}", f"si_fd={info.si_fd}"]
    elif code <= 0:
        parts += [f"si_pid={info.si_pid}", f"si_uid={info.si_uid}"]
    if code in (SI_QUEUE, SI_TIMER):
        value = info.si_value
        parts += [f"si_int={signed32(value)}", f"si_ptr={address(value)}"]
    return f"{{{', '.join(parts)}}}"


def _stored_siginfo(signo: int, code: int, pid: int, uid: int, value: int) -> str:
    fault = pid & 0xFFFF_FFFF | (uid << 32)
    info = SigInfo(signo, code, fault, pid, uid, signed32(value), value)
    return siginfo_text(info) if signo else "{}"


siginfo_in = structure("<i4xi4xiIQ", _stored_siginfo)


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


@after
def clone_arguments(view: View, i: int) -> str:
    """Show struct clone_args, and what the call has stored where it says."""
    raw = memory(view, view.args[i], 64)
    if raw is None:
        return address(view.args[i])
    bits, pidfd, child_tid, parent_tid, signo, stack, size, tls = struct.unpack("<8Q", raw)
    parts = [f"flags={names(bits, CLONE)}"]
    if bits & CLONE["CLONE_PIDFD"]:
        parts.append(f"pidfd={address(pidfd)}")
    if bits & (CLONE["CLONE_CHILD_SETTID"] | CLONE["CLONE_CHILD_CLEARTID"]):
        parts.append(f"child_tid={address(child_tid)}")
    if bits & CLONE["CLONE_PARENT_SETTID"]:
        parts.append(f"parent_tid={address(parent_tid)}")
    parts += [f"exit_signal={signal_name(signo)}", f"stack={address(stack)}"]
    parts.append(f"stack_size={size:#x}" if size else "stack_size=0")
    if bits & CLONE["CLONE_SETTLS"]:
        parts.append(f"tls={address(tls)}")
    told = {"pidfd": ("CLONE_PIDFD", pidfd), "parent_tid": ("CLONE_PARENT_SETTID", parent_tid)}
    stored = [
        f"{name}={number_at(view, addr)}"
        for name, (flag, addr) in told.items()
        if bits & CLONE[flag] and not view.failed
    ]
    return f"{{{', '.join(parts)}}}" + (f" => {{{', '.join(stored)}}}" if stored else "")


def number_at(view: View, addr: int) -> str:
    """Return an int that a call has stored, in brackets."""
    raw = memory(view, addr, 4)
    return address(addr) if raw is None else f"[{int.from_bytes(raw, 'little', signed=True)}]"


# ---- futexes ----

FUTEX_CHANGES = ("SET", "ADD", "OR", "ANDN", "XOR")
FUTEX_COMPARISONS = ("EQ", "NE", "LT", "LE", "GT", "GE")


def futex_operation(view: View, i: int) -> str:
    """Show what FUTEX_WAKE_OP does with the second word, and how it compares what was there."""

    def named(prefix: str, known: tuple[str, ...], at: int) -> str:
        return f"{prefix}{known[at]}" if at < len(known) else f"{at:#x}"

    value = view.args[i] & 0xFFFF_FFFF
    shift = "FUTEX_OP_OPARG_SHIFT<<28|" if value >> 31 else ""
    change = named("FUTEX_OP_", FUTEX_CHANGES, value >> 28 & 7)
    compare = named("FUTEX_OP_CMP_", FUTEX_COMPARISONS, value >> 24 & 15)
    argument, limit = value >> 12 & 0xFFF, value & 0xFFF
    return f"{shift}{change}<<28|{argument:#x}<<12|{compare}<<24|{limit:#x}".replace(
        "|0x0<<", "|0<<"
    )


# ---- System V IPC ----


def ipc_key(view: View, i: int) -> str:
    return hex(view.args[i] & 0xFFFF_FFFF) if view.args[i] else "IPC_PRIVATE"


def ipc_flags(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    return _before_mode(names(value & ~0o777, IPC_CREATE, ""), value)


def segment_flags(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    text = names(value & FLAGS_MASK & ~0o777, IPC_CREATE, "")
    return _before_mode(with_page_size(text, value, "SHM"), value)


def _before_mode(text: str, value: int) -> str:
    mode = f"{value & 0o777:#05o}".replace("0o", "0") if value & 0o777 else "000"
    return f"{text}|{mode}" if text else mode


def semaphore_operations(view: View, i: int) -> str:
    def show(number: int, change: int, bits: int) -> str:
        return f"{{sem_num={number}, sem_op={change}, sem_flg={names(bits, SEM_OPERATION)}}}"

    return items(view, view.args[i], view.args[i + 1] & 0xFFFF_FFFF, "<HhH", show)
