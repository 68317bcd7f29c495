"""ptrace and /proc/mm: a Python program traces a task that runs a few bytes of machine code."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pkern.kernel.errors import KernelBug, SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.registers import userregs
from pkern.kernel.tasks.trace import Option
from pkern.kernel.vfs.proc import mmfile
from pkern.syscalls.tasks import ptrace as abi
from pkern.userland.program import Sys
from pkern.userland.uml.run import prepare

PAGE = 4096
CODE, DATA = 0x400000, 0x500000
STEP = mmfile.COMMAND.size
SIGKILL, SIGUSR1, SIGSEGV, SIGBUS, SIGSTOP, SIGTRAP, SIGFPE = 9, 10, 11, 7, 19, 5, 8

# getpid; exit(rax)
GETPID_EXIT = bytes.fromhex("b827000000 0f05 4889c7 b83c000000 0f05")
LOAD = bytes.fromhex("488b07 0f05")  # mov (%rdi), %rax; syscall
STORE = bytes.fromhex("488907 0f05")  # mov %rax, (%rdi); syscall
JUMP = bytes.fromhex("ffe7")  # jmp *%rdi
DIVIDE = bytes.fromhex("31c9 f7f1")  # xor %ecx, %ecx; div %ecx
PR_SET_PTRACER = 0x59616D61
FPU = bytes.fromhex("660f6fc8 0f05")  # movdqa %xmm0, %xmm1; syscall


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel(ram="32M") as machine:
        prepare(machine)
        yield machine
        machine.check()


class Traced:
    """A tracer, its stopped child, and an address space with code at CODE and data at DATA."""

    def __init__(self, kernel: Kernel, code: bytes = GETPID_EXIT, gate: int = 0) -> None:
        kernel.sysctl["vm.nonlinear"] = gate
        self.sys = Sys(kernel.spawn("tracer"))
        self.child = self.sys.fork()
        self.pid = self.child.pid
        assert self.child.ptrace(abi.TRACEME, 0) == 0
        self.child.kill(self.pid, SIGSTOP)
        assert self.wait() == SIGSTOP
        self.mm = self.sys.open("/proc/mm", self.sys.O_WRONLY, 0)
        private = self.sys.MAP_PRIVATE | self.sys.MAP_ANONYMOUS | self.sys.MAP_FIXED
        self.command(mmfile.MM_MMAP, CODE, PAGE, 7, private)
        self.command(mmfile.MM_MMAP, DATA, PAGE, 3, private)
        self.do(abi.SWITCH_MM, self.mm)
        for place in range(0, len(code), 8):
            (word,) = struct.unpack("<Q", code[place : place + 8].ljust(8, b"\0"))
            self.do(abi.POKEDATA, word, CODE + place)
        self.set(rip=CODE, rsp=DATA + PAGE)

    def do(self, request: int, data: Any = 0, addr: int = 0) -> Any:
        """Make a request about the child."""
        return self.sys.ptrace(request, self.pid, addr, data)

    def wait(self) -> int:
        """Wait for a stop and return its signal; 0x100 and the exit code if it has ended."""
        pid, status = self.sys.wait4(self.pid, 0)
        assert pid == self.pid
        return status >> 8 if status & 0xFF == 0x7F else 0x100 | status >> 8 | status & 0x7F

    def command(self, *words: int) -> None:
        """Make one command on the address space."""
        words = (*words, 0, 0, 0, 0, 0, 0)[:7]
        assert self.sys.write(self.mm, mmfile.COMMAND.pack(*words)) == STEP

    def get(self) -> dict[str, int]:
        """Return the registers."""
        return userregs.unpack_regs(self.do(abi.GETREGS))

    def set(self, **values: int) -> None:
        """Set some registers."""
        regs = self.get() | values
        self.do(abi.SETREGS, userregs.pack_regs(regs))

    def run(self, request: int, signo: int = 0) -> int:
        """Let it go on to its next stop, and return the signal."""
        self.do(request, signo)
        return self.wait()

    def fault(self) -> tuple[int, int, int]:
        """Return error code, vector and address of the last fault."""
        code, vector, addr = abi.FAULT.unpack(self.do(abi.FAULTINFO))
        return code, vector, addr


def refused(number: int) -> Any:
    return pytest.raises(SyscallError, check=lambda error: error.errno == number)


# ---- system calls ----


def test_emulated_calls_stop_once_and_are_not_made(kernel: Kernel) -> None:
    t = Traced(kernel)
    assert t.run(abi.SYSEMU) == SIGTRAP
    regs = t.get()
    assert (regs["orig_rax"], regs["rax"]) == (39, (1 << 64) - errno.ENOSYS)
    assert regs["rip"] == CODE + 7
    t.set(rax=77)
    assert t.run(abi.SYSEMU) == SIGTRAP
    regs = t.get()
    assert (regs["orig_rax"], regs["rdi"]) == (60, 77)
    assert t.child.task.alive


def test_traced_calls_stop_before_and_after(kernel: Kernel) -> None:
    t = Traced(kernel)
    t.do(abi.SETOPTIONS, abi.O_TRACESYSGOOD)
    assert t.run(abi.SYSCALL) == SIGTRAP | 0x80
    assert (t.get()["orig_rax"], t.get()["rax"]) == (39, (1 << 64) - errno.ENOSYS)
    assert t.run(abi.SYSCALL) == SIGTRAP | 0x80
    assert t.get()["rax"] == t.pid
    assert t.run(abi.SYSCALL) == SIGTRAP | 0x80
    assert t.get()["orig_rax"] == 60
    assert t.run(abi.SYSCALL) == 0x100 | t.pid


def test_a_tracer_may_change_the_call_or_forbid_it(kernel: Kernel) -> None:
    t = Traced(kernel)
    assert t.run(abi.SYSCALL) == SIGTRAP
    t.set(orig_rax=110)  # getppid
    assert t.run(abi.SYSCALL) == SIGTRAP
    assert t.get()["rax"] == t.sys.pid
    t.set(rip=CODE)
    assert t.run(abi.SYSCALL) == SIGTRAP
    t.set(orig_rax=(1 << 64) - 1)
    assert t.run(abi.SYSCALL) == SIGTRAP
    assert t.get()["rax"] == (1 << 64) - errno.ENOSYS


def test_a_task_that_is_let_go_makes_its_calls(kernel: Kernel) -> None:
    t = Traced(kernel)
    assert t.run(abi.CONT) == 0x100 | t.pid
    with refused(errno.ECHILD):
        t.sys.wait4(t.pid, 0)


# ---- faults and signals ----


@pytest.mark.parametrize(
    ("code", "where", "expected"),
    [
        (LOAD, 0x600000, (4, SIGSEGV)),
        (STORE, 0x600008, (6, SIGSEGV)),
        (JUMP, 0x600000, (20, SIGSEGV)),
        (JUMP, DATA, (21, SIGSEGV)),
    ],
)
def test_a_fault_stops_before_anything_is_done_about_it(
    kernel: Kernel, code: bytes, where: int, expected: tuple[int, int]
) -> None:
    t = Traced(kernel, code)
    t.set(rdi=where)
    assert t.run(abi.SYSEMU) == expected[1]
    assert t.fault() == (expected[0], 14, where)
    signo, _, si_code, addr = struct.unpack_from("<iiixxxxQ", t.do(abi.GETSIGINFO))
    assert (signo, si_code, addr) == (SIGSEGV, 2 if where == DATA else 1, where)


def test_a_store_to_what_may_only_be_read(kernel: Kernel) -> None:
    t = Traced(kernel, STORE)
    t.command(mmfile.MM_MPROTECT, DATA, PAGE, 1)
    t.set(rdi=DATA)
    assert t.run(abi.SYSEMU) == SIGSEGV
    assert t.fault() == (6, 14, DATA)  # no page was there: Linux tells the same
    t.do(abi.PEEKDATA, 0, DATA)
    t.set(rdi=DATA)
    assert t.run(abi.SYSEMU) == SIGSEGV
    assert t.fault() == (7, 14, DATA)


def test_a_fault_that_is_mended_goes_on(kernel: Kernel) -> None:
    t = Traced(kernel, LOAD)
    t.set(rdi=0x600010)
    assert t.run(abi.SYSEMU) == SIGSEGV
    private = t.sys.MAP_PRIVATE | t.sys.MAP_ANONYMOUS | t.sys.MAP_FIXED
    t.command(mmfile.MM_MMAP, 0x600000, PAGE, 3, private)
    t.do(abi.POKEDATA, 0x1234, 0x600010)
    assert t.run(abi.SYSEMU) == SIGTRAP
    assert t.get()["orig_rax"] == 0x1234


def test_a_fault_that_is_delivered_ends_the_task(kernel: Kernel) -> None:
    t = Traced(kernel, LOAD)
    t.set(rdi=8)
    assert t.run(abi.SYSEMU) == SIGSEGV
    assert t.run(abi.SYSEMU, SIGSEGV) & 0x17F == 0x100 | SIGSEGV


def test_an_exception_is_a_signal(kernel: Kernel) -> None:
    t = Traced(kernel, DIVIDE)
    assert t.run(abi.SYSEMU) == SIGFPE
    assert t.fault()[1] == 0


def test_a_signal_stops_and_may_be_dropped(kernel: Kernel) -> None:
    t = Traced(kernel)
    assert t.run(abi.SYSEMU) == SIGTRAP
    t.do(abi.SYSEMU)
    t.sys.kill(t.pid, SIGUSR1)
    assert t.wait() == SIGUSR1
    assert t.run(abi.SYSEMU) == SIGTRAP
    assert t.child.task.alive


def test_sigkill_does_not_ask(kernel: Kernel) -> None:
    t = Traced(kernel)
    t.sys.kill(t.pid, SIGKILL)
    assert t.wait() & 0x17F == 0x100 | SIGKILL
    t = Traced(kernel)
    t.do(abi.KILL)
    assert t.wait() & 0x17F == 0x100 | SIGKILL


# ---- registers and memory ----


def test_registers_come_back_as_they_were_set(kernel: Kernel) -> None:
    t = Traced(kernel)
    values = {name: 0x1111 * (i + 1) for i, name in enumerate(userregs.USER_REGS)}
    fixed = ("cs", "ss", "ds", "es", "fs", "gs", "eflags", "rip", "orig_rax")
    values = {name: value for name, value in values.items() if name not in fixed}
    t.set(**values)
    regs = t.get()
    assert {name: regs[name] for name in values} == values
    assert (regs["cs"], regs["ss"]) == (0x33, 0x2B)


def test_the_fpu_comes_back_as_it_was_set(kernel: Kernel) -> None:
    t = Traced(kernel, FPU)
    state = bytearray(t.do(abi.GETFPREGS))
    assert len(state) == 512
    state[160:176] = bytes(range(16))  # xmm0
    t.do(abi.SETFPREGS, bytes(state))
    assert t.run(abi.SYSEMU) == SIGTRAP
    assert t.do(abi.GETFPREGS)[176:192] == bytes(range(16))


def test_peek_and_poke(kernel: Kernel) -> None:
    t = Traced(kernel)
    t.do(abi.POKEDATA, 0x1122334455667788, DATA + 4092 - 8)
    assert t.do(abi.PEEKDATA, 0, DATA + 4092 - 8) == 0x1122334455667788
    for request in (abi.PEEKDATA, abi.POKEDATA):
        with refused(errno.EIO):
            t.do(request, 0, 0x600000)


def test_the_raw_call_stores_what_the_python_form_returns(kernel: Kernel) -> None:
    t = Traced(kernel)
    at = t.sys.mmap(0, PAGE, 3, t.sys.MAP_PRIVATE | t.sys.MAP_ANONYMOUS)
    assert t.sys.syscall(101, abi.GETREGS, t.pid, 0, at) == 0
    assert t.sys.load(at, userregs.REGS.size) == t.do(abi.GETREGS)
    assert t.sys.syscall(101, abi.PEEKDATA, t.pid, CODE, at) == 0
    assert t.sys.load(at, 8) == GETPID_EXIT[:8]
    assert t.sys.syscall(101, abi.GETREGS, t.pid, 0, 8) == -errno.EFAULT
    assert t.sys.syscall(101, abi.SYSEMU, t.pid, 0, 0) == 0
    assert t.wait() == SIGTRAP


def test_the_recount_finds_a_tracee_that_is_not_known(kernel: Kernel) -> None:
    t = Traced(kernel)
    kernel.check()
    trace = t.sys.task.group.tracees.pop(t.child.task)
    with pytest.raises(KernelBug, match="T8"):
        kernel.check()
    t.sys.task.group.tracees[t.child.task] = trace
    stopped, t.child.task.thread.stopped = t.child.task.thread.stopped, 0
    with pytest.raises(KernelBug, match="T8"):
        kernel.check()
    t.child.task.thread.stopped = stopped


# ---- who may ---


def test_only_the_tracer_of_a_stopped_task(kernel: Kernel) -> None:
    t = Traced(kernel)
    stranger = Sys(kernel.spawn())
    for who, pid in ((stranger, t.pid), (t.sys, 4000), (t.sys, stranger.pid)):
        with refused(errno.ESRCH):
            who.ptrace(abi.GETREGS, pid)
    t.do(abi.SYSEMU)
    with refused(errno.ESRCH):
        t.do(abi.GETREGS)


def test_traceme_twice_or_by_nobody_s_child(kernel: Kernel) -> None:
    t = Traced(kernel)
    for who in (t.child, t.sys):
        with refused(errno.EPERM):
            who.ptrace(abi.TRACEME, 0)


def test_attach_stops_and_detach_lets_go(kernel: Kernel) -> None:
    t = Traced(kernel)
    other = Sys(kernel.spawn())
    with refused(errno.EPERM):
        other.ptrace(abi.ATTACH, t.pid)
    t.do(abi.DETACH)
    assert t.child.task.trace is None
    with refused(errno.EPERM):
        Sys(kernel.spawn(uid=1001)).ptrace(abi.ATTACH, t.pid)
    t.sys.ptrace(abi.ATTACH, t.pid)
    assert t.wait() == SIGSTOP
    assert t.run(abi.SYSEMU) == SIGTRAP


# By kernel.yama.ptrace_scope: whether the parent, a stranger, one who is named, one with the right
# may attach, and whether a child may ask to be traced. Source: security/yama of Linux 6.18.
SCOPES = {0: (1, 1, 1, 1, 1), 1: (1, 0, 1, 1, 1), 2: (0, 0, 0, 1, 0), 3: (0, 0, 0, 0, 0)}


@pytest.mark.parametrize("scope", SCOPES)
def test_yama_says_whom_a_task_may_trace(kernel: Kernel, scope: int) -> None:
    kernel.sysctl["kernel.yama.ptrace_scope"] = scope
    parent, stranger, named = (Sys(kernel.spawn()) for _ in range(3))
    able = Sys(kernel.spawn(caps=frozenset({"CAP_SYS_PTRACE"})))
    found = []
    for tracer in (parent, stranger, named, able):
        child = parent.fork()
        child.prctl(PR_SET_PTRACER, named.pid)
        found.append(
            succeeds(lambda tracer=tracer, child=child: tracer.ptrace(abi.ATTACH, child.pid))
        )
    child = parent.fork()
    found.append(succeeds(lambda: child.ptrace(abi.TRACEME, 0)))
    assert tuple(found) == SCOPES[scope]
    for tracer, answer in ((stranger, scope < 2), (named, scope < 2)):
        child = parent.fork()
        child.prctl(PR_SET_PTRACER, -1)  # anybody
        assert (
            succeeds(lambda tracer=tracer, child=child: tracer.ptrace(abi.ATTACH, child.pid))
            == answer
        )


def succeeds(call: Callable[[], int]) -> int:
    """Tell whether a call is made, or refused with EPERM."""
    try:
        call()
    except SyscallError as error:
        assert error.number == errno.EPERM
        return 0
    return 1


def test_a_tracer_s_end_ends_its_tracee(kernel: Kernel) -> None:
    t = Traced(kernel)
    t.do(abi.SETOPTIONS, Option.EXITKILL)
    t.sys.exit(0)
    assert kernel.scheduler is not None
    kernel.scheduler.run(t.child.task)
    assert t.child.task.group.exit_status == SIGKILL


def test_without_that_option_it_goes_on(kernel: Kernel) -> None:
    t = Traced(kernel)
    t.sys.exit(0)
    assert kernel.scheduler is not None
    kernel.scheduler.run(t.child.task)
    assert t.child.task.group.exit_status == t.pid << 8


@pytest.mark.parametrize("request_nr", [34, 0x420C, 12345])
def test_unknown_requests(kernel: Kernel, request_nr: int) -> None:
    t = Traced(kernel)
    with refused(errno.EIO):
        t.do(request_nr)


@pytest.mark.parametrize("signo", [-1, 65])
def test_no_such_signal(kernel: Kernel, signo: int) -> None:
    t = Traced(kernel)
    with refused(errno.EIO):
        t.do(abi.SYSEMU, signo)


# ---- /proc/mm ----


def test_a_space_lives_while_it_is_open_or_used(kernel: Kernel) -> None:
    t = Traced(kernel)
    before = kernel.counters.nr_vmas
    other = t.sys.open("/proc/mm", t.sys.O_WRONLY, 0)
    private = t.sys.MAP_PRIVATE | t.sys.MAP_ANONYMOUS | t.sys.MAP_FIXED
    t.sys.write(other, mmfile.COMMAND.pack(mmfile.MM_MMAP, CODE, PAGE, 3, private, 0, 0))
    assert kernel.counters.nr_vmas == before + 1
    t.sys.close(t.mm)
    assert kernel.counters.nr_vmas == before + 1  # the task runs in it
    t.do(abi.SWITCH_MM, other)
    assert kernel.counters.nr_vmas == before - 1
    t.sys.close(other)
    assert kernel.counters.nr_vmas == before - 1
    t.do(abi.KILL)
    assert kernel.counters.nr_vmas == before - 2


def test_switching_shows_the_other_space_s_memory(kernel: Kernel) -> None:
    t = Traced(kernel, LOAD)
    other = t.sys.open("/proc/mm", t.sys.O_WRONLY, 0)
    file = t.sys.memfd_create("shared", 0)
    t.sys.write(file, LOAD.ljust(PAGE, b"\0") + struct.pack("<Q", 2).ljust(PAGE, b"\0"))
    shared = t.sys.MAP_SHARED | t.sys.MAP_FIXED
    for place, addr in enumerate((CODE, DATA)):
        command = (mmfile.MM_MMAP, addr, PAGE, 7, shared, file, place * PAGE)
        t.sys.write(other, mmfile.COMMAND.pack(*command))
    t.do(abi.POKEDATA, 1, DATA)
    for space, value in ((t.mm, 1), (other, 2), (t.mm, 1)):
        t.do(abi.SWITCH_MM, space)
        t.set(rip=CODE, rdi=DATA)
        assert t.run(abi.SYSEMU) == SIGTRAP
        assert t.get()["orig_rax"] == value


def test_the_gate_guards_special_areas_here_too(kernel: Kernel) -> None:
    t = Traced(kernel)
    file = t.sys.memfd_create("pages", 0)
    t.sys.write(file, b"x" * PAGE)
    special = t.sys.MAP_SHARED | t.sys.MAP_NONLINEAR | t.sys.MAP_FIXED
    nobody = (1 << 64) - 1
    with refused(errno.EPERM):
        t.command(mmfile.MM_MMAP, 0x600000, PAGE, 7, special, nobody)
    with refused(errno.EPERM):
        t.command(mmfile.MM_REMAP, DATA, PAGE, 1, 0, file)
    kernel.sysctl["vm.nonlinear"] = 1
    t.command(mmfile.MM_MMAP, 0x600000, 4 * PAGE, 7, special, nobody)
    t.command(mmfile.MM_REMAP, 0x601000, PAGE, 1, 0, file)
    assert t.do(abi.PEEKDATA, 0, 0x601000) == 0x7878787878787878
    t.command(mmfile.MM_MADVISE, 0x600000, 4 * PAGE, 0, t.sys.MADV_DONTNEED)
    with refused(errno.EIO):
        t.do(abi.PEEKDATA, 0, 0x601000)


def test_a_hole_of_a_special_area_is_a_bus_error(kernel: Kernel) -> None:
    t = Traced(kernel, LOAD, gate=1)
    special = t.sys.MAP_SHARED | t.sys.MAP_NONLINEAR | t.sys.MAP_FIXED
    t.command(mmfile.MM_MMAP, 0x600000, PAGE, 3, special, (1 << 64) - 1)
    t.set(rdi=0x600020)
    assert t.run(abi.SYSEMU) == SIGBUS
    assert t.fault() == (4, 14, 0x600020)


def test_commands_are_done_up_to_the_first_that_fails(kernel: Kernel) -> None:
    t = Traced(kernel)
    private = t.sys.MAP_PRIVATE | t.sys.MAP_ANONYMOUS | t.sys.MAP_FIXED
    good = [(mmfile.MM_MMAP, 0x600000 + i * PAGE, PAGE, 3, private, 0, 0) for i in range(3)]
    bad = (mmfile.MM_MUNMAP, 0x600001, PAGE, 0, 0, 0, 0)
    data = b"".join(mmfile.COMMAND.pack(*command) for command in (*good[:2], bad, good[2]))
    assert t.sys.write(t.mm, data) == 2 * STEP
    with refused(errno.EINVAL):
        t.sys.write(t.mm, data[2 * STEP :])
    t.do(abi.POKEDATA, 1, 0x601000)
    with refused(errno.EIO):
        t.do(abi.POKEDATA, 1, 0x602000)


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ((99, CODE, PAGE, 3, 0, 0, 0), errno.EINVAL),
        ((mmfile.MM_MMAP, CODE, PAGE, 3, 2, 99, 0), errno.EINVAL),  # not MAP_FIXED
        ((mmfile.MM_MMAP, CODE, PAGE, 3, 0x12, 99, 0), errno.EBADF),
        ((mmfile.MM_MMAP, CODE, PAGE, 3, 0x12, (1 << 64) - 1, 0), errno.EBADF),
        ((mmfile.MM_MMAP, CODE, PAGE, 3, 0x32, 0, 5), errno.EINVAL),
        ((mmfile.MM_MMAP, 0xFFFFFFFFFF600000, PAGE, 3, 0x32, 0, 0), errno.ENOMEM),
        ((mmfile.MM_MPROTECT, 0x700000, PAGE, 1, 0, 0, 0), errno.ENOMEM),
    ],
)
def test_wrong_commands(kernel: Kernel, words: tuple[int, ...], number: int) -> None:
    t = Traced(kernel)
    with refused(number):
        t.sys.write(t.mm, mmfile.COMMAND.pack(*words))


def test_half_a_command_and_no_space(kernel: Kernel) -> None:
    t = Traced(kernel)
    for data in (b"", b"x" * (STEP - 1)):
        with refused(errno.EINVAL):
            t.sys.write(t.mm, data)
    with refused(errno.EINVAL):
        t.do(abi.SWITCH_MM, t.sys.memfd_create("no space", 0))
    with refused(errno.EBADF):
        t.do(abi.SWITCH_MM, 77)
