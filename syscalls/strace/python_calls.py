"""How a call made in Python looks as registers and memory, so that strace shows it in its words.

A Python program hands over values where machine code has addresses. Values keeps them at addresses
from FIRST_ADDRESS on, which no program has; a shape gives the six registers that the same call in
machine code would have, and stores what it returned where that would have been. The decoders then
see no difference. Calls without a shape of their own take theirs from the table of system calls.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signals import SIG_DFL, SIG_IGN, Sigaction
from pkern.syscalls.files.mount_tree import MOUNT_ATTR
from pkern.syscalls.table import TABLE, Kind

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm

FIRST_ADDRESS = 1 << 63
STEP = 1 << 20
MASK = (1 << 64) - 1
PATH_MAX, XATTR_MAX, MANY_GROUPS = 4096, 65536, 65536
SECOND = 1_000_000_000

Store = Callable[[Any], int]
"""Keeps what a call returned and gives what rax would be."""


class Values:
    """The memory of one call made in Python."""

    def __init__(self, mm: Mm) -> None:
        self._mm = mm
        self._blobs: dict[int, bytes] = {}

    def room(self) -> int:
        """Return an address for what the call will store."""
        return self.put(b"")

    def put(self, data: bytes) -> int:
        """Return the address of data."""
        addr = FIRST_ADDRESS + STEP * len(self._blobs)
        self._blobs[addr] = data
        return addr

    def text(self, text: str | bytes | None) -> int:
        """Return the address of a string; NULL for None."""
        if text is None:
            return 0
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        return self.put(raw + b"\0")

    def fill(self, addr: int, data: bytes) -> None:
        """Store what a call has returned."""
        self._blobs[addr] = data

    def copy_in(self, addr: int, nbytes: int) -> bytes:
        """Return memory of the call, or of its task. Errors: EFAULT."""
        if addr < FIRST_ADDRESS:
            return self._mm.copy_in(addr, nbytes)
        start = addr & -STEP
        data = self._blobs.get(start, b"")[addr - start :][:nbytes]
        if len(data) < nbytes:
            raise SyscallError(errno.EFAULT)
        return data

    def string_in(self, addr: int) -> str:
        """Return a string of the call, or of its task. Errors: EFAULT."""
        if addr < FIRST_ADDRESS:
            return self._mm.string_in(addr)
        return self._blobs.get(addr, b"").split(b"\0")[0].decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Shape:
    """A call as machine code would make it. name: strace's; store: what becomes of its result."""

    name: str
    registers: tuple[int, ...]
    store: Store


def _number(result: Any) -> int:
    return int(result or 0)


def _into(values: Values, addr: int, pack: Callable[[Any], bytes]) -> Store:
    """Return a store that packs the result at addr; the call returns 0."""

    def store(result: Any) -> int:
        values.fill(addr, pack(result))
        return 0

    return store


def _counted(values: Values, addr: int, pack: Callable[[Any], bytes]) -> Store:
    """Return a store that packs the result at addr; the call returns how many bytes."""

    def store(result: Any) -> int:
        data = pack(result)
        values.fill(addr, data)
        return len(data)

    return store


def _bytes(data: Any) -> bytes:
    return bytes(data)


def _packed(result: Any) -> bytes:
    return bytes(result.pack())


def _pair(layout: str) -> Callable[[Any], bytes]:
    return lambda result: struct.pack(layout, *result)


def _time(nanoseconds: int) -> bytes:
    return struct.pack("<qq", *divmod(nanoseconds, SECOND))


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# ---- shapes: values and the call's arguments in, registers and store out ----

Shaped = tuple[tuple[int, ...], Store]
Shaper = Callable[..., Shaped]


def _strings(v: Values, texts: list[str]) -> int:
    """Return the address of an array of strings."""
    places = [v.text(text) for text in texts]
    return v.put(struct.pack(f"<{len(places) + 1}Q", *places, 0))


def _execve(v: Values, path: str, argv: list[str], envp: list[str]) -> Shaped:
    return (v.text(path), _strings(v, argv), _strings(v, envp)), _number


def _execveat(
    v: Values, dirfd: int, path: str, argv: list[str], envp: list[str], flags: int
) -> Shaped:
    return (dirfd, v.text(path), _strings(v, argv), _strings(v, envp), flags), _number


def _read(v: Values, fd: int, count: int, *pos: int) -> Shaped:
    at = v.room()
    return (fd, at, count, *pos), _counted(v, at, _bytes)


def _write(v: Values, fd: int, data: Any, *pos: int) -> Shaped:
    return (fd, v.put(bytes(data)), len(data), *pos), _number


def _receive(v: Values, fd: int, count: int, flags: int) -> Shaped:
    at = v.room()
    return (fd, at, count, flags), _counted(v, at, _bytes)


def _send(v: Values, fd: int, data: Any, flags: int) -> Shaped:
    return (fd, v.put(bytes(data)), len(data), flags), _number


def _getrandom(v: Values, count: int, flags: int = 0) -> Shaped:
    at = v.room()
    return (at, count, flags), _counted(v, at, _bytes)


def _getcwd(v: Values) -> Shaped:
    at = v.room()
    return (at, PATH_MAX), _counted(v, at, lambda text: _text(text) + b"\0")


def _readlink(v: Values, path: str) -> Shaped:
    at = v.room()
    return (v.text(path), at, PATH_MAX), _counted(v, at, _text)


def _readlinkat(v: Values, dirfd: int, path: str) -> Shaped:
    at = v.room()
    return (dirfd, v.text(path), at, PATH_MAX), _counted(v, at, _text)


def _stat(v: Values, path: str) -> Shaped:
    at = v.room()
    return (v.text(path), at), _into(v, at, _packed)


def _one(pack: Callable[[Any], bytes]) -> Shaper:
    """Return the shape of (number, where the result goes)."""

    def shape(v: Values, number: int = 0) -> Shaped:
        at = v.room()
        return (number, at), _into(v, at, pack)

    return shape


def _only(pack: Callable[[Any], bytes]) -> Shaper:
    """Return the shape of (where the result goes)."""

    def shape(v: Values, *rest: int) -> Shaped:
        at = v.room()
        return (at, *rest), _into(v, at, pack)

    return shape


def _sleep(v: Values, nanoseconds: int) -> Shaped:
    return (v.put(_time(nanoseconds)), 0), _number


def _getgroups(v: Values) -> Shaped:
    at = v.room()

    def store(groups: list[int]) -> int:
        v.fill(at, struct.pack(f"<{len(groups)}I", *groups))
        return len(groups)

    return (MANY_GROUPS, at), store


def _setgroups(v: Values, groups: list[int]) -> Shaped:
    return (len(groups), v.put(struct.pack(f"<{len(groups)}I", *groups))), _number


def _three_ids(v: Values) -> Shaped:
    places = [v.room() for _ in range(3)]

    def store(ids: Any) -> int:
        for place, value in zip(places, ids, strict=True):
            v.fill(place, struct.pack("<I", value))
        return 0

    return tuple(places), store


def _getpriority(v: Values, which: int, who: int) -> Shaped:
    return (which, who), lambda nice: 20 - nice


def _setrlimit(v: Values, resource: int, limits: tuple[int, int]) -> Shaped:
    return (resource, v.put(struct.pack("<QQ", *limits))), _number


def _prlimit(v: Values, pid: int, resource: int, limits: tuple[int, int] | None) -> Shaped:
    at = v.room()
    new = v.put(struct.pack("<QQ", *limits)) if limits is not None else 0
    return (pid, resource, new, at), _into(v, at, _pair("<QQ"))


def _getxattr(v: Values, path: str, name: str) -> Shaped:
    at = v.room()
    return (v.text(path), v.text(name), at, XATTR_MAX), _counted(v, at, _bytes)


def _setxattr(v: Values, path: str, name: str, value: Any, flags: int) -> Shaped:
    return (v.text(path), v.text(name), v.put(bytes(value)), len(value), flags), _number


def _mincore(v: Values, addr: int, length: int) -> Shaped:
    at = v.room()
    return (addr, length, at), _into(v, at, _bytes)


def _mount(
    v: Values, source: str, target: str, fstype: str | None, flags: int, data: str
) -> Shaped:
    more = v.text(data) if data else 0
    return (v.text(source), v.text(target), v.text(fstype), flags, more), _number


def _fsconfig(v: Values, fd: int, what: int, key: str = "", value: str | None = None) -> Shaped:
    name = v.text(key) if key else 0
    return (fd, what, name, v.text(value), 0), _number


def _mount_setattr(
    v: Values, dirfd: int, path: str, flags: int, wanted: int, cleared: int = 0, kind: int = 0
) -> Shaped:
    at = v.put(MOUNT_ATTR.layout.pack(wanted, cleared, kind, 0))
    return (dirfd, v.text(path), flags, at, MOUNT_ATTR.layout.size), _number


def _socketpair(v: Values, family: int, kind: int, protocol: int) -> Shaped:
    at = v.room()
    return (family, kind, protocol, at), _into(v, at, _pair("<ii"))


def _poll(v: Values, wanted: list[tuple[int, int]], timeout_ms: int) -> Shaped:
    rows = [struct.pack("<iHH", fd, events, 0) for fd, events in wanted]
    at = v.put(b"".join(rows))

    def store(found: list[int]) -> int:
        rows = [(*pair, bits) for pair, bits in zip(wanted, found, strict=True)]
        v.fill(at, b"".join(struct.pack("<iHH", *row) for row in rows))
        return sum(bits != 0 for bits in found)

    return (at, len(wanted), timeout_ms), store


def _vm_read(v: Values, pid: int, addr: int, length: int) -> Shaped:
    at = v.room()
    local, remote = struct.pack("<QQ", at, length), struct.pack("<QQ", addr, length)
    return (pid, v.put(local), 1, v.put(remote), 1, 0), _counted(v, at, _bytes)


def _vm_write(v: Values, pid: int, addr: int, data: Any) -> Shaped:
    local = struct.pack("<QQ", v.put(bytes(data)), len(data))
    remote = struct.pack("<QQ", addr, len(data))
    return (pid, v.put(local), 1, v.put(remote), 1, 0), _number


def _ptrace(v: Values, request: int, pid: int, addr: int, data: Any) -> Shaped:
    number = data if isinstance(data, int) else v.put(bytes(data))
    return (request, pid, addr, number), lambda r: r if isinstance(r, int) else 0


def _action(v: Values, action: Any) -> bytes:
    """Return struct sigaction; a function of Python's has an address of its own."""
    if isinstance(action, Sigaction):
        return struct.pack("<4Q", action.handler, action.flags, action.restorer, action.mask)
    handler = action if action in (SIG_DFL, SIG_IGN) else v.room()
    return struct.pack("<4Q", handler, 0, 0, 0)


def _sigaction(v: Values, signo: int, action: Any) -> Shaped:
    new = v.put(_action(v, action)) if action is not None else 0
    at = v.room()
    return (signo, new, at, 8), _into(v, at, lambda old: _action(v, old))


def _sigprocmask(v: Values, how: int, mask: int) -> Shaped:
    new, at = v.put(struct.pack("<Q", mask & MASK)), v.room()
    return (how, new, at, 8), _into(v, at, lambda old: struct.pack("<Q", old))


def _fork(v: Values) -> Shaped:
    return (), lambda child: int(child.pid)


def _set_name(v: Values, name: Any) -> Shaped:
    return (v.put(bytes(name)), len(name)), _number


def _shmctl(v: Values, shmid: int, command: int) -> Shaped:
    at = v.room()

    def store(result: Any) -> int:
        if isinstance(result, int):
            return result
        v.fill(at, result.pack())
        return 0

    return (shmid, command, at), store


def _utimensat(v: Values, dirfd: int, path: str | None, times: Any, flags: int) -> Shaped:
    flat = [number for pair in times for number in pair]
    return (dirfd, v.text(path), v.put(struct.pack("<4q", *flat)), flags), _number


def _wait4(v: Values, pid: int, options: int) -> Shaped:
    at = v.room()

    def store(event: tuple[int, int]) -> int:
        v.fill(at, struct.pack("<I", event[1] & 0xFFFF_FFFF))
        return event[0]

    return (pid, at, options, 0), store


# Calls whose Python form is not that of the table; its name, where strace has another.
SHAPES: dict[str, Shaper] = {
    "read": _read, "pread64": _read, "write": _write, "pwrite64": _write,
    "getdents": _read, "getdents64": _read, "recv": _receive, "send": _send,
    "getcwd": _getcwd,
    "getrandom": _getrandom, "readlink": _readlink, "readlinkat": _readlinkat,
    "stat": _stat, "lstat": _stat, "fstat": _one(_packed),
    "clock_gettime": _one(_time), "clock_getres": _one(_time), "gettimeofday": _only(_bytes),
    "nanosleep": _sleep, "getgroups": _getgroups, "setgroups": _setgroups,
    "getresuid": _three_ids, "getresgid": _three_ids, "getpriority": _getpriority,
    "getrlimit": _one(_pair("<QQ")), "setrlimit": _setrlimit, "prlimit64": _prlimit,
    "getrusage": _one(_packed), "getxattr": _getxattr, "setxattr": _setxattr,
    "mincore": _mincore, "mount": _mount,
    "fsconfig": _fsconfig, "mount_setattr": _mount_setattr, "pipe": _only(_pair("<ii")),
    "pipe2": _only(_pair("<ii")), "socketpair": _socketpair, "poll": _poll,
    "process_vm_readv": _vm_read, "process_vm_writev": _vm_write, "ptrace": _ptrace,
    "rt_sigaction": _sigaction, "rt_sigprocmask": _sigprocmask, "sethostname": _set_name,
    "setdomainname": _set_name, "shmctl": _shmctl, "sysinfo": _only(_packed),
    "uname": _only(_packed), "utimensat": _utimensat, "wait4": _wait4,
    "fork": _fork, "execve": _execve, "execveat": _execveat,
}  # fmt: skip
OTHER_NAMES = {"recv": "recvfrom", "send": "sendto"}
BY_NAME = {call.name: call for call in TABLE.values()}


def _by_table(name: str, v: Values, arguments: tuple[Any, ...]) -> Shaped:
    """Return the shape that the table of system calls gives."""
    left = list(arguments)
    registers: list[int] = []
    at = 0
    store: Store = _number
    for kind in BY_NAME[name].kinds:
        if kind is Kind.STRUCT:
            at = v.room()
            registers.append(at)
            store = _into(v, at, _bytes)
            continue
        value = left.pop(0)
        if kind is Kind.PATH:
            registers.append(v.text(value))
        elif kind is Kind.IN:
            registers += [v.put(bytes(value)), len(value)]
        elif kind is Kind.OUT:
            at = v.room()
            registers += [at, value]
            store = _counted(v, at, _bytes)
        else:
            registers.append(int(value))
    return tuple(registers), store


def shape_of(name: str, values: Values, arguments: tuple[Any, ...]) -> Shape | None:
    """Return a call as machine code would make it; None: it is none, or its values are wrong."""
    try:
        if name in SHAPES:
            registers, store = SHAPES[name](values, *arguments)
        elif name in BY_NAME:
            registers, store = _by_table(name, values, arguments)
        else:
            return None
    except (AttributeError, IndexError, TypeError, ValueError, struct.error):
        return None
    padded = (*(register & MASK for register in registers), 0, 0, 0, 0, 0, 0)[:6]
    return Shape(OTHER_NAMES.get(name, name), padded, store)
