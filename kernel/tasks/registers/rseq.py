"""Restartable sequences: code of a program that begins again when something comes between.

A task names a struct rseq; while it is in a sequence, the end of its slice and a signal's handler
send it to the sequence's abort address. There is one processor, so its number is always 0.
Source: rseq(2), kernel docs "Restartable Sequences".
"""

from __future__ import annotations

import struct

from pkern.kernel.errors import MemoryFault, SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SIZE = 32  # bytes, and the alignment
USED = 28  # of these: up to mm_cid
CPU_ID_UNINITIALIZED = (1 << 32) - 1
CS_OFFSET = 8
IDS = struct.Struct("<II")  # cpu_id_start, cpu_id
MORE_IDS = struct.Struct("<III")  # flags, node_id, mm_cid
SEQUENCE = struct.Struct("<IIQQQ")  # version, flags, start, bytes up to the commit, abort address
SIGNATURE_BYTES = 4  # before the abort address


class Area(NamedTuple):
    """The struct rseq of a task: address and size in bytes, and the signature it expects."""

    addr: int
    nbytes: int
    signature: int


def enter(task: Task, area: Area) -> None:
    """Register a task's area and say where it runs. Errors: EFAULT."""
    _store(task, area, 0)
    task.thread.rseq = area


def leave(task: Task, area: Area) -> None:
    """Forget a task's area. Errors: EFAULT."""
    _store(task, area, CPU_ID_UNINITIALIZED)
    task.thread.rseq = None


def _store(task: Task, area: Area, cpu: int) -> None:
    ids = IDS.pack(0, cpu) + bytes(8) + MORE_IDS.pack(0, 0, 0)
    task.mm.copy_out(area.addr, ids)


def interrupt(task: Task) -> bool:
    """Send a task that is in a sequence to its abort address; False if its areas are wrong."""
    area = task.thread.rseq
    if area is None:
        return True
    try:
        return _interrupt(task, area)
    except (SyscallError, MemoryFault):
        return False


def _interrupt(task: Task, area: Area) -> bool:
    place = area.addr + CS_OFFSET
    addr = int.from_bytes(task.mm.copy_in(place, 8), "little")
    if not addr:
        return True
    version, _, start, nbytes, abort = SEQUENCE.unpack(task.mm.copy_in(addr, SEQUENCE.size))
    task.mm.copy_out(place, bytes(8))
    rip, end = task.cpu.registers()["rip"], task.mm.counters.task_size
    if version or max(start, abort) >= end or start <= abort < start + nbytes:
        return False
    if not start <= rip < start + nbytes:
        return True
    signature = task.mm.copy_in(abort - SIGNATURE_BYTES, SIGNATURE_BYTES)
    if int.from_bytes(signature, "little") != area.signature:
        return False
    task.cpu.set_registers({"rip": abort})
    return True
