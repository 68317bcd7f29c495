"""A guest process, and how a program is loaded into its address space.

Owns pids' families, saved registers, and the ELF loader with Linux's layout of a new stack.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, field
from enum import Enum

from pkern.kernel.tasks.signal.altstack import NO_ALT_STACK, AltStack
from pkern.kernel.tasks.signal.signals import SIGCHLD, SigInfo
from pkern.userland.uml.files import Descriptors, Inode, Source
from pkern.userland.uml.host import PLACE, REGISTERS
from pkern.userland.uml.memory import PAGE, PAGE_MASK, GuestError, Pages
from pkern.userland.uml.space import EXEC, READ, STACK_TOP, WRITE, Area, Space, page_up

PT_LOAD, PT_INTERP, PT_GNU_STACK = 1, 3, 0x6474E551
ET_EXEC, ET_DYN = 2, 3
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
MAGIC = b"\x7fELF\x02\x01"
DYN_BASE = 0x5555_5555_4000
STACK_BYTES = 33 * PAGE
CONTINUED = 0xFFFF  # as wait4 reports it
CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_CONTINUED = 1, 2, 5, 6
USER_CS, USER_SS, FLAGS = 0x33, 0x2B, 0x202
NEW_FPU = struct.pack("<HHBxHQQII", 0x37F, 0, 0, 0, 0, 0, 0x1F80, 0xFFFF).ljust(512, b"\0")


ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF = 0, 1, 2


class State(Enum):
    """Where a process stands."""

    READY = "may run"
    BLOCKED = "makes its call again when something has changed"
    STOPPED = "waits for SIGCONT"
    ZOMBIE = "has ended; its parent has not asked"


@dataclass(frozen=True, slots=True)
class Timer:
    """An interval timer: when it is due (ns of its clock), and its period (ns, 0: once)."""

    due: int
    interval: int = 0

    def next(self) -> Timer | None:
        """Return it for the next period, None if there is none."""
        return Timer(self.due + self.interval, self.interval) if self.interval else None


@dataclass
class Process:
    """One guest process: registers in the order of host.REGISTERS, 64-bit words.

    group, session: pids of their leaders. news: a stop or continuation (as wait4 reports it) that
    the parent has not asked for, 0: none. deadline, source: of the call it waits in (uptime in ns;
    of the host).
    """

    pid: int
    parent: Process | None
    space: Space
    fds: Descriptors
    regs: list[int]
    fpu: bytes = NEW_FPU
    state: State = State.READY
    status: int = 0  # as wait4 reports it
    news: int = 0
    group: int = 0
    session: int = 0
    exit_signal: int = SIGCHLD  # what its parent is told with
    has_execed: bool = False
    borrows: bool = False  # its parent waits until it ends or runs another program
    awaited: Process | None = None  # such a child, while this process waits for it
    clear_tid: int = 0  # the address that is zeroed, and woken as a futex, at its end
    program: str = ""
    name: str = ""
    cwd: str = "/"
    blocked_signals: int = 0
    waits_for: int = 0  # the set of a sigtimedwait
    saved_mask: int | None = None  # of a sigsuspend, until its handler's frame has it
    alt_stack: AltStack = NO_ALT_STACK
    timers: dict[int, Timer] = field(default_factory=dict)  # by ITIMER_*, those that run
    cpu_ns: int = 0  # as ticks count it
    deadline: int | None = None
    source: Source | None = None
    fault: tuple[int, int, int] = (0, 0, 0)  # the last one: address, error code, vector
    pending: list[SigInfo] = field(default_factory=list)  # as they came
    actions: dict[int, bytes] = field(default_factory=dict)
    children: list[Process] = field(default_factory=list)
    regs_changed: bool = True  # the traced task has others
    regs_stale: bool = False  # the traced task has newer ones
    must_retry: bool = False  # its system call blocked, and is made again

    def call_is_over(self) -> None:
        """Forget what a call remembered between its tries."""
        self.must_retry, self.deadline, self.waits_for = False, None, 0
        self.source = None

    def result(self, value: int) -> None:
        """Let the system call that the process is in return value."""
        self.regs[PLACE["rax"]] = value & (1 << 64) - 1


def end_of(child: Process) -> tuple[int, int]:
    """Return si_code and si_status of a child's end."""
    killed = child.status & 0x7F
    return (CLD_KILLED, killed) if killed else (CLD_EXITED, child.status >> 8)


def start_registers(rip: int, rsp: int) -> list[int]:
    """Return the registers of a new program."""
    regs = [0] * len(REGISTERS)
    values = {"rip": rip, "rsp": rsp, "cs": USER_CS, "ss": USER_SS, "eflags": FLAGS}
    for name, value in values.items():
        regs[PLACE[name]] = value
    return regs


# ---- ELF ----


@dataclass(frozen=True, slots=True)
class Segment:
    """One program header, as the file has it."""

    kind: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int


@dataclass(frozen=True, slots=True)
class Image:
    """What the loader needs of an ELF file."""

    entry: int
    bias: int
    phdr: int
    segments: tuple[Segment, ...]


def read_image(pages: Pages) -> Image:
    """Return the parsed headers. Errors: GuestError(ENOEXEC): no static x86-64 program."""
    head = pages.read(0, HEADER.size)
    if len(head) < HEADER.size or not head.startswith(MAGIC):
        raise GuestError(errno.ENOEXEC)
    _, kind, _, _, entry, phoff, _, _, _, phentsize, phnum, *_ = HEADER.unpack(head)
    if kind not in (ET_EXEC, ET_DYN) or phentsize != PROGRAM_HEADER.size:
        raise GuestError(errno.ENOEXEC)
    table = pages.read(phoff, phnum * phentsize)
    segments = tuple(
        Segment(row[0], row[1], row[2], row[3], row[5], row[6])
        for row in PROGRAM_HEADER.iter_unpack(table)
    )
    loads = [segment for segment in segments if segment.kind == PT_LOAD]
    if not loads or any(segment.kind == PT_INTERP for segment in segments):
        raise GuestError(errno.ENOEXEC)
    bias = DYN_BASE if kind == ET_DYN else 0
    phdr = next(
        (s.vaddr - s.offset + phoff for s in loads if s.offset <= phoff < s.offset + s.filesz), 0
    )
    return Image(entry + bias, bias, phdr + bias, segments)


def _protection(flags: int) -> int:
    return (READ if flags & 4 else 0) | (WRITE if flags & 2 else 0) | (EXEC if flags & 1 else 0)


def _map_segment(space: Space, pages: Pages, segment: Segment, bias: int) -> int:
    """Map a PT_LOAD and return its end (bytes)."""
    start = bias + segment.vaddr & ~PAGE_MASK
    file_end = bias + segment.vaddr + segment.filesz
    end = bias + segment.vaddr + segment.memsz
    prot = _protection(segment.flags)
    zeroes = start
    if segment.filesz:
        zeroes = page_up(file_end)
        space.add(Area(start, zeroes, prot, source=pages, index=segment.offset // PAGE))
    if page_up(end) > zeroes:
        space.add(Area(zeroes, page_up(end), prot))
    if segment.filesz and segment.memsz > segment.filesz and prot & WRITE and file_end < zeroes:
        space.write(file_end, bytes(zeroes - file_end))
    return end


def load(space: Space, inode: Inode, argv: list[bytes], envp: list[bytes]) -> list[int]:
    """Fill an empty address space with a program; return the registers to start with.

    Errors: GuestError(ENOEXEC, EACCES, ENOMEM, E2BIG).
    """
    if inode.pages is None:
        raise GuestError(errno.EACCES)
    image = read_image(inode.pages)
    loads = [segment for segment in image.segments if segment.kind == PT_LOAD]
    ends = [_map_segment(space, inode.pages, segment, image.bias) for segment in loads]
    space.brk_start = space.brk = page_up(max(ends))
    space.add(Area(STACK_TOP - STACK_BYTES, STACK_TOP, READ | WRITE))
    rsp, content = stack_image(argv, envp, image)
    space.write(rsp, content)
    return start_registers(image.entry, rsp)


def stack_image(argv: list[bytes], envp: list[bytes], image: Image) -> tuple[int, bytes]:
    """Return the stack pointer and the bytes from there to the top of the stack.

    argc, argv, envp, auxiliary vector, 16 bytes for AT_RANDOM, the strings.
    """
    strings = b"".join(text + b"\0" for text in (*argv, *envp, b"x86_64"))
    low = STACK_TOP - 8 - len(strings)
    places, at = [], low
    for text in (*argv, *envp):
        places.append(at)
        at += len(text) + 1
    platform, random_at = at, (low & ~15) - 16
    auxv = {3: image.phdr, 4: PROGRAM_HEADER.size, 5: len(image.segments), 6: PAGE, 7: 0, 8: 0,
            9: image.entry, 11: 0, 12: 0, 13: 0, 14: 0, 17: 100, 23: 0, 25: random_at,
            15: platform, 31: places[0] if places else 0, 0: 0}  # fmt: skip
    words = [len(argv), *places[: len(argv)], 0, *places[len(argv) :], 0]
    words += [word for pair in auxv.items() for word in pair]
    rsp = random_at - 8 * len(words) & ~15
    if STACK_TOP - rsp > STACK_BYTES // 2:
        raise GuestError(errno.E2BIG)
    head = struct.pack(f"<{len(words)}Q", *words).ljust(random_at - rsp, b"\0")
    return rsp, (head + bytes(range(16))).ljust(low - rsp, b"\0") + strings + bytes(8)
