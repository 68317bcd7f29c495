"""How strace shows polled descriptors, epoll's sets and timers: those that are files, and POSIX's.

The decoders follow decode.py's rules.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pkern.syscalls.abi import signed32
from pkern.syscalls.flags import EPOLL, POLL
from pkern.syscalls.strace.decode import (
    Decoder,
    View,
    address,
    after,
    memory,
    names,
    signal_name,
    signal_set,
    stored,
    structure,
)
from pkern.syscalls.strace.structs import items

EPOLL_CTL_DEL = 2


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


# ---- epoll ----


def _event(bits: int, data: int) -> str:
    return f"{{events={names(bits, EPOLL)}, data={{u32={data & 0xFFFF_FFFF}, u64={data}}}}}"


_one_event = structure("<IQ", _event)


def changed_event(view: View, i: int) -> str:
    """Show the event that epoll_ctl sets; none counts for EPOLL_CTL_DEL."""
    return address(view.args[i]) if view.args[1] == EPOLL_CTL_DEL else _one_event(view, i)


@after
def events_out(view: View, i: int) -> str:
    if view.failed or view.result is None:
        return address(view.args[i])
    return items(view, view.args[i], view.result, "<IQ", _event) if view.result else "[]"


# ---- timers ----


def _itimerspec(*f: int) -> str:
    interval, value = (f"{{tv_sec={s}, tv_nsec={ns}}}" for s, ns in (f[:2], f[2:]))
    return f"{{it_interval={interval}, it_value={value}}}"


itimerspec = structure("<4q", _itimerspec)
itimerspec_out = stored(itimerspec)


# ---- timers of POSIX ----

NOTIFIES = {0: "SIGEV_SIGNAL", 1: "SIGEV_NONE", 2: "SIGEV_THREAD", 4: "SIGEV_THREAD_ID"}


def _sigevent(value: int, signo: int, notify: int, tid: int) -> str:
    how = NOTIFIES.get(notify) or f"{notify:#x} /* SIGEV_??? */"
    parts = [f"sigev_value={{sival_int={signed32(value)}, sival_ptr={address(value)}}}"]
    parts += [f"sigev_signo={signal_name(signo)}", f"sigev_notify={how}"]
    parts += [f"sigev_notify_thread_id={tid}"] if notify == 4 else []
    return f"{{{', '.join(parts)}}}"


sigevent = structure("<Qiii", _sigevent)
timer_out = stored(structure("<i", lambda number: f"[{number}]"))


# ---- filters of system calls ----

sock_fprog = structure("<H6xQ", lambda count, at: f"{{len={count}, filter={address(at)}}}")


def filter_program(view: View, i: int) -> str:
    """Show the program that a call sets; of other operations, where their value is."""
    return sock_fprog(view, i) if view.args[0] == 1 else address(view.args[i])
