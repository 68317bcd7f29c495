"""The notes of a core file: registers, ids, the signal, the auxiliary vector, mapped files.

Structures are those of Linux 6.18 for x86-64: elf_prstatus, elf_prpsinfo, siginfo_t, and the
regsets. Without protection keys the processor has no xsave, so there is no note of its state.
"""

from __future__ import annotations

import struct

from pkern.kernel.tasks.registers import xstate
from pkern.kernel.tasks.registers.userregs import pack_regs, user_regs
from pkern.kernel.tasks.signal.sigframe import pack_siginfo
from pkern.kernel.tasks.thread import WORD
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.mapped import name_of
from pkern.kernel.wait import RESTARTS

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

NT_PRSTATUS, NT_FPREGSET, NT_PRPSINFO, NT_AUXV, NT_X86_XSTATE, NT_X86_XSAVE_LAYOUT = (
    1, 2, 3, 6, 0x202, 0x205,
)  # fmt: skip
NT_SIGINFO, NT_FILE = 0x53494749, 0x46494C45
PRSTATUS = struct.Struct("<iiihxxQQiiii8q216si4x")
PRPSINFO = struct.Struct("<bcbb4xQIIiiii16s80s")
HEADER = struct.Struct("<III")
XSAVE_FEATURE = struct.Struct("<IIII")  # type, flags, offset, bytes
PAGE_SIZE = 4096
ARGUMENT_BYTES = 79
PF_SIGNALED, PF_DUMPCORE, PF_FORKNOEXEC = 0x400, 0x200, 0x40
SECOND, MICRO = 10**9, 1000


class Note(NamedTuple):
    """One note: who defines it, its kind, what it holds."""

    owner: bytes
    kind: int
    data: bytes

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Return head, name and content, each to begin at a multiple of 4."""
        name = self.owner + b"\0"
        return HEADER.pack(len(name), len(self.data), self.kind), name, self.data

    @property
    def nbytes(self) -> int:
        """How long it is in the file."""
        return sum(len(part) + -len(part) % 4 for part in self.parts())


def _time(ns: int) -> tuple[int, int]:
    return ns // SECOND, ns % SECOND // MICRO


def _registers(task: Task) -> bytes:
    thread = task.thread
    call = task.unfinished
    if call is None:
        return pack_regs(user_regs(task.cpu, thread.orig_rax))
    wait = task.waiting  # the end of all ends the call: what it would have returned
    task.cpu.set_result(-(RESTARTS[wait.restart] if wait is not None else thread.restart))
    return pack_regs(user_regs(task.cpu, call[0] & WORD))


def _prstatus(task: Task, signo: int) -> bytes:
    group = task.group
    ran = group.time_ns if task is group.leader else task.time_ns
    times = (*_time(ran), 0, 0, *_time(group.waited_for.cpu_ns), 0, 0)
    pending, blocked = task.signals.own.mask(), task.signals.blocked
    ids = (task.pid, task.ppid, task.pgid, task.sid)
    return PRSTATUS.pack(signo, 0, 0, signo, pending, blocked, *ids, *times, _registers(task), 1)


def _prpsinfo(task: Task) -> bytes:
    found, leader = task.mm.areas, task.group.leader
    arguments = b""
    if found is not None:
        nbytes = min(found.arg_end - found.arg_start, ARGUMENT_BYTES)
        arguments = task.mm.read_forced(found.arg_start, nbytes)
    flags = PF_SIGNALED | PF_DUMPCORE | (0 if task.has_execed else PF_FORKNOEXEC)
    ids = (leader.cred.uid, leader.cred.gid, leader.pid, task.ppid, task.pgid, task.sid)
    name = leader.name.encode("utf-8", "surrogateescape")
    nice = leader.attributes.nice
    return PRPSINFO.pack(0, b"R", 0, nice, flags, *ids, name, arguments.replace(b"\0", b" "))


def _files(task: Task, vmas: list[Vma]) -> bytes:
    """Return which files are mapped where: ranges, offsets in pages, names."""
    named = [(vma, name) for vma in vmas if (name := name_of(task.kernel.vfs, vma)) is not None]
    ranges = b"".join(struct.pack("<3Q", vma.start, vma.end, vma.pgoff) for vma, _ in named)
    names = "".join(f"{name}\0" for _, name in named).encode("utf-8", "surrogateescape")
    return struct.pack("<QQ", len(named), PAGE_SIZE) + ranges + names


def _of_thread(task: Task, signo: int, process: list[Note]) -> list[Note]:
    """Return the notes of a thread; those of its process come behind the first."""
    made = [Note(b"CORE", NT_PRSTATUS, _prstatus(task, signo)), *process]
    made.append(Note(b"CORE", NT_FPREGSET, task.cpu.fpu()))
    if task.kernel.has_cpu("pku"):
        made.append(Note(b"LINUX", NT_X86_XSTATE, xstate.regset(task)))
    return made


def _of_process(task: Task, info: SigInfo, vmas: list[Vma]) -> list[Note]:
    found, files = task.mm.areas, _files(task, vmas)
    made = [
        Note(b"CORE", NT_PRPSINFO, _prpsinfo(task)),
        Note(b"CORE", NT_SIGINFO, pack_siginfo(info)),
        Note(b"CORE", NT_AUXV, found.auxv if found else b""),
    ]
    if len(files) <= task.kernel.dumps.note_size_limit:
        made.append(Note(b"CORE", NT_FILE, files))
    return made


def notes(task: Task, info: SigInfo, vmas: list[Vma]) -> list[Note]:
    """Return the notes in Linux's order: first those of the thread that ends it all."""
    made = _of_thread(task, info.si_signo, _of_process(task, info, vmas))
    for other in task.group.living():
        if other is not task:
            made += _of_thread(other, info.si_signo, [])
    if task.kernel.has_cpu("pku"):
        layout = XSAVE_FEATURE.pack(xstate.PKRU_COMPONENT, 0, xstate.PKRU_AT, xstate.PKRU.size)
        made.append(Note(b"LINUX", NT_X86_XSAVE_LAYOUT, layout))
    return made
