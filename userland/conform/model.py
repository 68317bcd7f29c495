"""The model's side of the oracle: sequences run by tasks of a pkern kernel.

Owns a kernel, a template task laid out as the host's runner is, and the translation of
calls into raw system calls (the user's registers, numbers and pointers, through the ABI's
own door).  Nothing below the system-call interface is used.  Called by run.py.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from pkern.kernel.errors import MemoryFault
from pkern.kernel.machine import Kernel
from pkern.userland.conform.calls import (
    NR_FILES,
    PAGE,
    Area,
    Call,
    Kind,
    Layout,
    Outcome,
    Window,
    parse_maps,
)
from pkern.userland.program import Sys

_NR = {
    Kind.MMAP: 9,
    Kind.MUNMAP: 11,
    Kind.MPROTECT: 10,
    Kind.MREMAP: 25,
    Kind.MADVISE: 28,
    Kind.FTRUNCATE: 77,
    Kind.MSYNC: 26,
    Kind.MINCORE: 27,
    Kind.MLOCK: 149,
    Kind.MUNLOCK: 150,
    Kind.MLOCK2: 325,
    Kind.PREAD: 17,
    Kind.PWRITE: 18,
}
_READ, _OPEN, _CLOSE, _WAIT4, _UNLINK, _PRLIMIT64 = 0, 2, 3, 61, 87, 302
_O_RDWR_CREAT, _RLIMIT_MEMLOCK = 0o102, 8
_MAP_PRIVATE, _MAP_FIXED, _MAP_ANONYMOUS = 0x02, 0x10, 0x20
_CLOSED_FD = (1 << 64) - 1
_MAPS_BYTES = 32768
_GIVEN = ("[stack]", "[vsyscall]")  # what a task has from the start, and what no call can map


class Model:
    """A kernel of ours whose tasks start with the same address space as the host's runner."""

    def __init__(self, base: Layout, window: Window, rmap: str = "objrmap_tree") -> None:
        self.window = window
        settings = {"vm.mmap_min_addr": _host_mmap_min_addr()}
        self.kernel = Kernel(ram="64M", rmap=rmap, sysctl=settings)
        self._template = Sys(self.kernel.spawn(name="conform"))
        self._maps: dict[bytes, Layout] = {}
        self._buffer = next(a.start for a in base if a.start <= window.scratch < a.end)
        _lay_out(self._template, base, window)

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """Run one sequence in a fresh child task and return an outcome for each call."""
        child = self._template.fork()
        try:
            files = _make_files(child, self.window.scratch)
            return [self._outcome(child, call, files) for call in calls]
        finally:
            child.exit(0)
            self._template.syscall(_WAIT4, _CLOSED_FD, 0, 0, 0)

    def check(self) -> None:
        """Recount every invariant of the kernel.

        Errors: KernelBug.
        """
        self.kernel.check()

    def _outcome(self, sys: Sys, call: Call, files: Sequence[int]) -> Outcome:
        value = signo = code = addr = 0
        data = b""
        try:
            if call.kind is Kind.LOAD:
                value = int.from_bytes(sys.load(call.args[0], 8), "little", signed=True)
            elif call.kind is Kind.STORE:
                sys.store(call.args[0], call.args[1].to_bytes(8, "little"))
            else:
                value = sys.syscall(_NR[call.kind], *self._registers(sys, call, files))
                data = self._data(sys, call, value)
        except MemoryFault as fault:
            signo, code, addr = fault.signo, fault.code, fault.addr
        return Outcome(value, signo, code, addr, data, self._layout(sys))

    def _registers(self, sys: Sys, call: Call, files: Sequence[int]) -> tuple[int, ...]:
        args = call.args
        scratch = self.window.scratch
        match call.kind:
            case Kind.MMAP:
                return (*args[:4], _descriptor(files, args[4]), args[5])
            case Kind.FTRUNCATE:
                return (_descriptor(files, args[0]), args[1])
            case Kind.MINCORE:
                return (*args, scratch)
            case Kind.PREAD:
                sys.store(scratch, bytes(8))
                return (_descriptor(files, args[0]), scratch, 8, args[1])
            case Kind.PWRITE:
                sys.store(scratch, args[2].to_bytes(8, "little"))
                return (_descriptor(files, args[0]), scratch, 8, args[1])
            case _:
                return args

    def _data(self, sys: Sys, call: Call, value: int) -> bytes:
        """Fetch what the call wrote to memory: mincore's vector, pread's eight bytes."""
        if value < 0 or call.kind not in (Kind.MINCORE, Kind.PREAD):
            return b""
        nbytes = 8 if call.kind is Kind.PREAD else (call.args[1] + PAGE - 1) // PAGE
        return sys.load(self.window.scratch, nbytes) if nbytes else b""

    def _layout(self, sys: Sys) -> Layout:
        fd = _open(sys, self._buffer, "/proc/self/maps", 0)
        nbytes = sys.syscall(_READ, fd, self._buffer, _MAPS_BYTES)
        sys.syscall(_CLOSE, fd)
        text = sys.load(self._buffer, nbytes)
        found = self._maps.get(text)
        if found is None:
            if len(self._maps) > 4096:
                self._maps.clear()
            found = self._maps[text] = parse_maps(text.decode(), self.window)
        return found

    def close(self) -> None:
        """Shut the kernel down; a leak is an error.

        Errors: KernelBug.
        """
        self.kernel.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()


def _host_mmap_min_addr() -> int:
    """Read the lowest address that the host lets an ordinary program map, in bytes."""
    return int(Path("/proc/sys/vm/mmap_min_addr").read_text())


def _descriptor(files: Sequence[int], slot: int) -> int:
    return files[slot] if slot < NR_FILES else _CLOSED_FD


def _expect(result: int, what: str) -> int:
    """Insist that a call of the preparation succeeded."""
    if -4096 < result < 0:
        raise RuntimeError(f"preparing the model's task: {what} gave errno {-result}")
    return result


def _open(sys: Sys, buffer: int, path: str, flags: int) -> int:
    sys.store(buffer, path.encode() + b"\0")
    return _expect(sys.syscall(_OPEN, buffer, flags, 0o644), f"open {path}")


def _lay_out(sys: Sys, base: Layout, window: Window) -> None:
    """Give the task the host runner's areas, at the same addresses.

    The program's own areas show a file and the kernel's special ones too, each at an offset of
    its own, so that none of them merges with what a sequence maps.
    """
    anonymous = _MAP_PRIVATE | _MAP_FIXED | _MAP_ANONYMOUS
    holder = next(a for a in base if a.start <= window.scratch < a.end)
    _map(sys, holder, anonymous, _CLOSED_FD, 0)
    fd = _open(sys, window.scratch, "/tmp/program", _O_RDWR_CREAT)
    for number, area in enumerate(base):
        if area is not holder and area.file not in _GIVEN:
            _map(sys, area, _MAP_PRIVATE | _MAP_FIXED, fd, (number * 16384 + 1) * PAGE)
    limit = struct.pack("<QQ", window.memlock, window.memlock)
    sys.store(window.scratch, limit)
    _expect(sys.syscall(_PRLIMIT64, 0, _RLIMIT_MEMLOCK, window.scratch, 0), "prlimit64")


def _map(sys: Sys, area: Area, flags: int, fd: int, offset: int) -> None:
    prot = sum(bit for bit, letter in ((1, "r"), (2, "w"), (4, "x")) if letter in area.perms)
    length = area.end - area.start
    regs = (area.start, length, prot, flags, fd, offset)
    _expect(sys.syscall(_NR[Kind.MMAP], *regs), f"mmap {area}")


def _make_files(sys: Sys, scratch: int) -> tuple[int, ...]:
    """Make the files that runner.c's make_files() makes, and return their descriptors."""
    fds = []
    for name in ("f0", "f1", "f2"):
        _unlink(sys, scratch, f"/tmp/{name}")
        fds.append(_open(sys, scratch, f"/tmp/{name}", _O_RDWR_CREAT))
    _expect(sys.syscall(_NR[Kind.FTRUNCATE], fds[0], 5 * PAGE + 100), "ftruncate")
    _expect(sys.syscall(_NR[Kind.FTRUNCATE], fds[2], 12 * PAGE), "ftruncate")
    for page in range(6):
        _stamp(sys, scratch, fds[0], page, 0xF0000000 + page)
    for page in range(0, 12, 3):
        _stamp(sys, scratch, fds[2], page, 0xF2000000 + page)
    return (*fds, _open(sys, scratch, "/tmp/f0", 0))


def _unlink(sys: Sys, scratch: int, path: str) -> None:
    sys.store(scratch, path.encode() + b"\0")
    sys.syscall(_UNLINK, scratch)


def _stamp(sys: Sys, scratch: int, fd: int, page: int, value: int) -> None:
    sys.store(scratch, value.to_bytes(8, "little"))
    _expect(sys.syscall(_NR[Kind.PWRITE], fd, scratch, 8, page * PAGE), "pwrite64")
