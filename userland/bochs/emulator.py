"""The emulator: an ordinary program that runs a guest machine on the kernel's memory calls.

Owns guest RAM (a file it opens and maps), the window, and what is done at each return of the
processor: a table from reason to action. Uses system calls only, and the processor of userland.cpu.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from pkern.userland.bochs.image import guest_image
from pkern.userland.bochs.loader import PAGE, WINDOW_BYTES, Plan, plan_guest, ram_bytes_for
from pkern.userland.bochs.window import Window, open_window
from pkern.userland.cpu import Cpu, CpuStop, CpuWindow, FaultCode, Stop
from pkern.userland.program import Sys

CHUNK = 1 << 20
RAM_FOLDER = "/dev/shm"
MAX_REPEATS = 3
MIN_FLT, MAJ_FLT = 9, 11  # fields of /proc/PID/stat, from 0


class GuestError(RuntimeError):
    """The guest did something that ends it; the text says what, where, and whose fault it is."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of the emulator did, as the program itself saw it.

    output: the guest's bytes on port 0xe9. vmas: most at one time. faults: the task's page faults.
    tlb_fills: served in C; varies with the host's speed. maps: /proc/self/maps at the end.
    """

    mode: str
    note: str
    output: bytes
    remap_calls: int
    mmap_calls: int
    window_drops: int
    stale_pages: int
    evictions: int
    vmas: int
    faults: int
    tlb_fills: int
    maps: str


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: the file's path, the shuffle's seed, a limit in blocks (0: none), the guest."""

    path: str
    seed: int = 0
    budget: int = 0
    guest: bytes | None = None


class Machine:
    """One emulated machine: RAM, window, processor, counters."""

    def __init__(self, sys: Sys, ram_bytes: int) -> None:
        """Open and map guest RAM, then reserve the window."""
        self.sys = sys
        self.ram_bytes = ram_bytes
        self.ram_fd = _open_ram(sys, ram_bytes)
        prot = sys.PROT_READ | sys.PROT_WRITE
        self.ram = sys.mmap(0, ram_bytes, prot, sys.MAP_SHARED, self.ram_fd, 0)
        self.window: Window
        self.window, self.note = open_window(sys, self.ram_fd)
        self.drops = self.stale = self.evictions = self.most_vmas = 0
        self._actions: dict[Stop, Callable[[CpuStop], None]] = {
            Stop.WINDOW_MISS: self._show,
            Stop.STALE: self._show_again,
            Stop.NEW_CR3: self._drop_window,
            Stop.NEED: self._touch,
        }

    def store(self, physical: int, data: bytes) -> None:
        """Write data (bytes) to guest RAM."""
        self.sys.store(self.ram + physical, data)

    def run(self, plan: Plan, budget: int) -> Report:
        """Run the guest until it halts.

        Errors: GuestError when it ends in any other way.
        """
        task = self.sys.task
        window = CpuWindow(self.window.addr, WINDOW_BYTES, self.ram, self.ram_bytes, budget)
        with closing(Cpu(task.kernel.memory.core, task.mm.handle, window)) as cpu:
            cpu.reset(plan.start)
            self._loop(cpu)
            return self._report(cpu)

    def _loop(self, cpu: Cpu) -> None:
        last, repeats = None, 0
        while (stop := cpu.run()).reason is not Stop.HALTED:
            repeats = repeats + 1 if stop == last else 0
            action = self._actions.get(stop.reason)
            if action is None or repeats == MAX_REPEATS:
                raise GuestError(describe(stop, cpu))
            action(stop)
            last = stop

    def _show(self, stop: CpuStop) -> None:
        """Show a page; when VMAs or pages run out, drop the window and try once more."""
        prot = self.sys.PROT_READ | (self.sys.PROT_WRITE if stop.writable else 0)
        try:
            self.window.show(stop.linear, stop.physical, prot)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            self.evictions += 1
            self._count_vmas()
            self.window.drop_all()
            self.window.show(stop.linear, stop.physical, prot)

    def _show_again(self, stop: CpuStop) -> None:
        """Replace what the window shows: both modes drop the old page as they map the new one."""
        self.stale += 1
        self._show(stop)

    def _drop_window(self, stop: CpuStop) -> None:
        self.drops += 1
        self._count_vmas()
        self.window.drop_all()

    def _touch(self, stop: CpuStop) -> None:
        """Take the fault that the processor could not take, as any program does."""
        if stop.is_store:
            self.sys.touch(stop.host, 1)
        else:
            self.sys.load(stop.host, 1)

    def _count_vmas(self) -> str:
        maps = read_text(self.sys, "/proc/self/maps")
        vmas = maps.count("\n") - maps.count("[vsyscall]")  # which is the kernel's
        self.most_vmas = max(self.most_vmas, vmas)
        return maps

    def _report(self, cpu: Cpu) -> Report:
        maps = self._count_vmas()
        stat = read_text(self.sys, "/proc/self/stat").rpartition(")")[2].split()
        return Report(
            mode=self.window.mode,
            note=self.note,
            output=cpu.output(),
            remap_calls=self.window.remap_calls,
            mmap_calls=self.window.mmap_calls,
            window_drops=self.drops,
            stale_pages=self.stale,
            evictions=self.evictions,
            vmas=self.most_vmas,
            faults=int(stat[MIN_FLT - 2]) + int(stat[MAJ_FLT - 2]),
            tlb_fills=cpu.tlb_fills,
            maps=maps,
        )


def emulate(sys: Sys, job: Job) -> Report:
    """Run the guest over a file of this kernel and return what happened.

    Errors: OSError of the system calls, GuestError, LoadError, ImageError, CpuUnavailable.
    """
    image = guest_image() if job.guest is None else job.guest
    fd = sys.open(job.path, sys.O_RDONLY, 0)
    file_bytes = sys.lseek(fd, 0, sys.SEEK_END)
    sys.lseek(fd, 0, sys.SEEK_SET)
    ram_bytes = ram_bytes_for(file_bytes)
    plan = plan_guest(image, file_bytes, ram_bytes, job.seed)
    machine = Machine(sys, ram_bytes)
    load(machine, plan, fd)
    sys.close(fd)
    return machine.run(plan, job.budget)


def describe(stop: CpuStop, cpu: Cpu) -> str:
    """Return one sentence that says why the guest ended."""
    where = f"at rip {stop.rip:#x}"
    if stop.reason is Stop.GUEST_FAULT:
        return f"guest page fault {where}: {_access(stop.error_code)} of {stop.linear:#x}"
    if stop.reason is Stop.EXCEPTION:
        return f"guest exception {where}: vector {stop.vector} and no handler in this emulator"
    if stop.reason is Stop.BAD_TABLE:
        return f"the guest's page tables point outside its RAM, to {stop.physical:#x}, {where}"
    if stop.reason is Stop.BEYOND_WINDOW:
        return f"the guest's linear page {stop.linear:#x} lies beyond the window, {where}"
    if stop.reason is Stop.BUDGET:
        return f"the guest ran longer than it was allowed to, {where}"
    if stop.reason is Stop.ENGINE:
        return f"the processor gave up {where}: {cpu.engine_text(stop.engine_error)}"
    return f"no progress: {stop.reason.name} for {stop.linear:#x} again and again, {where}"


def read_text(sys: Sys, path: str) -> str:
    """Return a whole text file of the kernel."""
    fd = sys.open(path, sys.O_RDONLY, 0)
    parts = []
    while part := sys.read(fd, CHUNK):
        parts.append(part)
    sys.close(fd)
    return b"".join(parts).decode()


def _access(code: FaultCode) -> str:
    kind = "write" if FaultCode.WRITE in code else "fetch" if FaultCode.FETCH in code else "read"
    why = "not allowed" if FaultCode.PRESENT in code else "page not present"
    if FaultCode.RESERVED in code:
        why = "reserved bit set in a page table"
    who = "user" if FaultCode.USER in code else "supervisor"
    return f"{who} {kind} ({why}, error code {code.value})"


def _open_ram(sys: Sys, ram_bytes: int) -> int:
    """Return the descriptor of a new file of ram_bytes that disappears with the emulator."""
    path = f"{RAM_FOLDER}/bochs-{sys.getpid()}.ram"
    fd: int = sys.open(path, sys.O_RDWR | sys.O_CREAT | sys.O_EXCL, 0o600)
    sys.unlink(path)
    sys.ftruncate(fd, ram_bytes)
    return fd


def load(machine: Machine, plan: Plan, fd: int) -> None:
    """Store the guest's own pages, then the file, read in large chunks."""
    for frame, data in plan.pages.items():
        machine.store(frame * PAGE, data)
    frames = iter(plan.file_frames)
    while chunk := machine.sys.read(fd, CHUNK):
        for offset in range(0, len(chunk), PAGE):
            machine.store(next(frames) * PAGE, chunk[offset : offset + PAGE])
