"""Which system calls a task may make: strict mode, or filters in classic BPF.

Programs are checked when they are set and cannot fail later. All of a task's filters are asked, the
newest first; the gravest answer counts. Filters are values: children share their parent's.
Source: seccomp(2), Linux 6.18 kernel/seccomp.c and net/core/filter.c.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.thread import entry_by_number
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.filter.listener import Listener

STRICT, FILTER = 1, 2  # modes
DATA = struct.Struct("<IIQ6Q")  # struct seccomp_data: number, architecture, address, arguments
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x8000_0000, 0, 0x3_0000, 0x5_0000
USER_NOTIF, TRACE, LOG, ALLOW = 0x7FC0_0000, 0x7FF0_0000, 0x7FFC_0000, 0x7FFF_0000
ACTIONS = frozenset({KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, USER_NOTIF, TRACE, LOG, ALLOW})
ACTION_BITS, DATA_BITS = 0xFFFF_0000, 0xFFFF
MOST_INSTRUCTIONS, ALL_INSTRUCTIONS, FILTER_COST = 4096, 32768, 4
WORDS, WORD = 16, 0xFFFF_FFFF  # of scratch memory

LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
CLASS = 7
LD_ABS, LD_LEN, LDX_LEN = 0x20, 0x80, 0x81
LD_IMM, LDX_IMM, LD_MEM, LDX_MEM = 0x00, 0x01, 0x60, 0x61
RET_K, RET_A, TAX, TXA = 0x06, 0x16, 0x07, 0x87
OF_X = 8  # the operand is X and not the constant
JA = 0x05


class Instruction(NamedTuple):
    """struct sock_filter: what to do, where to go if it holds or not, a constant."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]


def _shifted(a: int, b: int) -> int:
    return a << b if b < 32 else 0


ARITHMETIC: dict[int, Callable[[int, int], int]] = {
    0x00: lambda a, b: a + b,
    0x10: lambda a, b: a - b,
    0x20: lambda a, b: a * b,
    0x30: lambda a, b: a // b,
    0x40: lambda a, b: a | b,
    0x50: lambda a, b: a & b,
    0x60: _shifted,
    0x70: lambda a, b: a >> b,
    0xA0: lambda a, b: a ^ b,
}
NEGATE, DIVIDE, LEFT, RIGHT = 0x84, 0x30, 0x60, 0x70
CONDITIONS: dict[int, Callable[[int, int], bool]] = {
    0x10: lambda a, b: a == b,
    0x20: lambda a, b: a > b,
    0x30: lambda a, b: a >= b,
    0x40: lambda a, b: bool(a & b),
}
OPERATION = 0xF0


# ---- checking ----


def check(program: Program) -> None:
    """Refuse a program that could go wrong. Errors: EINVAL."""
    if not 0 < len(program) <= MOST_INSTRUCTIONS:
        raise SyscallError(errno.EINVAL)
    written: list[int | None] = [0, *([None] * len(program))]  # scratch words sure to be written
    for at, step in enumerate(program):
        known = written[at] or 0
        if not _is_sound(step, len(program) - at - 1, known):
            raise SyscallError(errno.EINVAL)
        if step.code in (ST, STX):
            known |= 1 << step.k
        for target in _targets(step, at):
            before = written[target]
            written[target] = known if before is None else before & known
    if program[-1].code not in (RET_K, RET_A):
        raise SyscallError(errno.EINVAL)


def _targets(step: Instruction, at: int) -> list[int]:
    """Return where a step may lead."""
    if step.code & CLASS == RET:
        return []
    if step.code == JA:
        return [at + 1 + step.k]
    if step.code & CLASS == JMP:
        return [at + 1 + step.jt, at + 1 + step.jf]
    return [at + 1]


def _is_sound(step: Instruction, left: int, known: int) -> bool:
    """Tell whether an instruction is one, and cannot fail. left: how many come behind it."""
    code, k = step.code, step.k
    if code == LD_ABS:
        return k % 4 == 0 and k < DATA.size
    if code in (LD_LEN, LDX_LEN, LD_IMM, LDX_IMM, RET_K, RET_A, TAX, TXA, NEGATE):
        return True
    if code in (LD_MEM, LDX_MEM):
        return k < WORDS and bool(known >> k & 1)
    if code in (ST, STX):
        return k < WORDS
    if code == JA:
        return k < left
    return _is_sound_operation(step, left)


def _is_sound_operation(step: Instruction, left: int) -> bool:
    kind, what = step.code & CLASS, step.code & OPERATION
    if step.code & ~(CLASS | OPERATION | OF_X):
        return False
    if kind == JMP:
        return what in CONDITIONS and max(step.jt, step.jf) < left
    if kind != ALU or what not in ARITHMETIC:
        return False
    by_constant = not step.code & OF_X
    if by_constant and what == DIVIDE:
        return step.k != 0
    return not (by_constant and what in (LEFT, RIGHT) and step.k >= 32)


# ---- running ----


def run(program: Program, data: bytes) -> int:
    """Return what a program says about a struct seccomp_data."""
    a = x = at = 0
    memory = [0] * WORDS
    while True:
        code, jt, jf, k = program[at]
        at += 1
        kind = code & CLASS
        operand = x if code & OF_X else k
        if kind == RET:
            return a if code == RET_A else k
        if code == JA:
            at += k
        elif kind == JMP:
            at += jt if CONDITIONS[code & OPERATION](a, operand) else jf
        elif kind == ALU:
            if code == NEGATE:
                a = -a & WORD
            elif code & OPERATION == DIVIDE and not operand:
                return 0
            else:
                a = ARITHMETIC[code & OPERATION](a, operand) & WORD
        elif kind == LD:
            a = _loaded(code, k, data, memory)
        elif kind == LDX:
            x = _loaded(code & ~1, k, data, memory)
        elif kind == ST:
            memory[k] = a
        elif kind == STX:
            memory[k] = x
        elif code == TAX:
            x = a
        else:
            a = x


def _loaded(code: int, k: int, data: bytes, memory: list[int]) -> int:
    if code == LD_ABS:
        return int.from_bytes(data[k : k + 4], "little")
    if code == LD_LEN:
        return DATA.size
    return memory[k] if code == LD_MEM else k


# ---- a task's filters ----


def data_of(nr: int, rip: int, arguments: tuple[int, ...]) -> bytes:
    """Return the struct seccomp_data of a call, whose number has the mark of its entry."""
    return DATA.pack(nr & WORD, entry_by_number(nr).audit_arch, rip, *arguments)


def _gravity(answer: int) -> int:
    """Return an action as a signed number: the lower, the graver."""
    action = answer & ACTION_BITS
    return action - (1 << 32) if action >> 31 else action


class Seccomp(NamedTuple):
    """What holds for a task. programs: newest first, each with its listener, if it has one."""

    mode: int
    programs: tuple[Program, ...] = ()
    listeners: tuple[Listener | None, ...] = ()

    def with_program(self, program: Program, listener: Listener | None = None) -> Seccomp:
        """Return these and one more. Errors: EINVAL (strict), ENOMEM (too many instructions)."""
        if self.mode == STRICT:
            raise SyscallError(errno.EINVAL)
        held = sum(len(one) + FILTER_COST for one in self.programs)
        if held + len(program) > ALL_INSTRUCTIONS:
            raise SyscallError(errno.ENOMEM)
        return Seccomp(FILTER, (program, *self.programs), (listener, *self.listeners))

    def answer(self, nr: int, rip: int, arguments: tuple[int, ...]) -> int:
        """Return what is to be done about a call: an action and its data.

        nr: as in Thread.call: with the mark of its entry.
        """
        if self.mode == STRICT:
            return ALLOW if nr & WORD in entry_by_number(nr).strict else KILL_THREAD
        return min(self._answers(data_of(nr, rip, arguments)), key=_gravity)

    def _answers(self, data: bytes) -> list[int]:
        return [run(program, data) for program in self.programs]

    def listener(self, data: bytes) -> Listener | None:
        """Return who hears of a call (struct seccomp_data): the newest gravest filter's."""
        answers = self._answers(data)
        return self.listeners[answers.index(min(answers, key=_gravity))]

    def left(self) -> None:
        """Let listeners look again: a task has ended, which may have been their last."""
        for listener in self.listeners:
            if listener is not None:
                listener.kernel.wake(listener)

    def descends_from(self, other: Seccomp | None) -> bool:
        """Tell whether these are another one's filters and newer ones."""
        if other is None:
            return True
        count = len(other.programs)
        tail = self.programs[len(self.programs) - count :] if count else ()
        return other.mode == FILTER and tail == other.programs
