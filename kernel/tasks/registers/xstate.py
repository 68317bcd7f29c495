"""The processor's extended state in a signal frame: fxsave's image, and PKRU where there is one.

    0    [ fxsave: 464 bytes | magic, sizes, which components follow ]
    512  [ xsave's header: which components are not in their first state ]     with keys only
    576  [ PKRU, 8 bytes ][ second magic ]                                     with keys only

Offsets are those that CPUID's leaf 0xD tells (kernel/core/cpu/cpuid.c). Source: struct
_fpx_sw_bytes and struct _xstate of Linux 6.18; Intel SDM 1, chapter 13.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Context
    from pkern.kernel.tasks.task import Task

FXSAVE_BYTES = 512
SOFTWARE_AT = 464  # bytes of the image that the processor leaves to the kernel
SOFTWARE = struct.Struct("<IIQI28x")
HEADER = struct.Struct("<Q56x")
PKRU = struct.Struct("<I4x")
MXCSR_AT, ST_AT, XMM_AT = 24, 32, 160  # bytes of the image
MXCSR, MXCSR_BITS = struct.Struct("<I"), 0xFFFF
FXSAVE_ALIGNMENT, XSAVE_ALIGNMENT = 16, 64
MAGIC1, MAGIC2 = 0x46505853, 0x46505845
PKRU_COMPONENT = 9
X87, SSE, KEYS = 1 << 0, 1 << 1, 1 << PKRU_COMPONENT
XSTATE_BYTES = FXSAVE_BYTES + HEADER.size + PKRU.size
PKRU_AT = FXSAVE_BYTES + HEADER.size
PKRU_IN_HANDLER = 0x55555554  # a handler begins with the right to key 0 only
START_FXSAVE = (
    struct.pack("<HHBBHQQII", 0x37F, 0, 0, 0, 0, 0, 0, 0x1F80, 0xFFFF).ljust(FXSAVE_BYTES, b"\0")
)  # fmt: skip


def image(task: Task) -> bytes:
    """Return the state of a task as its frame holds it."""
    fxsave = task.cpu.fpu()
    if not task.kernel.has_cpu("pku"):
        return fxsave
    components = X87 | SSE | KEYS
    software = SOFTWARE.pack(MAGIC1, XSTATE_BYTES + 4, components, XSTATE_BYTES)
    return b"".join((
        fxsave[:SOFTWARE_AT], software, HEADER.pack(components), PKRU.pack(task.mm.pkru),
        struct.pack("<I", MAGIC2),
    ))  # fmt: skip


def regset(task: Task) -> bytes:
    """Return the state as NT_X86_XSTATE has it; the machine has keys."""
    fxsave, components = task.cpu.fpu(), X87 | SSE | KEYS
    software = struct.pack("<Q", components).ljust(FXSAVE_BYTES - SOFTWARE_AT, b"\0")
    keys = HEADER.pack(components) + PKRU.pack(task.mm.pkru)
    return fxsave[:SOFTWARE_AT] + software + keys


def set_fxsave(context: Context, data: bytes) -> None:
    """Set x87 and SSE from fxsave's image. Errors: EINVAL (a bit of MXCSR that there is not)."""
    if MXCSR.unpack_from(data, MXCSR_AT)[0] & ~MXCSR_BITS:
        raise SyscallError(errno.EINVAL)
    context.set_fpu(data)


def set_regset(task: Task, data: bytes) -> None:
    """Set the state from NT_X86_XSTATE's bytes; the machine has keys. Errors: EINVAL."""
    (there,) = HEADER.unpack_from(data, FXSAVE_BYTES)
    if there & ~(X87 | SSE | KEYS) or any(data[FXSAVE_BYTES + 8 : PKRU_AT]):
        raise SyscallError(errno.EINVAL)
    set_fxsave(task.cpu, _of_components(data, there))
    task.mm.pkru = PKRU.unpack_from(data, PKRU_AT)[0] if there & KEYS else 0


def _of_components(fxsave: bytes, there: int) -> bytes:
    """Return an image in which each component is in its first state that is not there."""
    x87 = fxsave if there & X87 else START_FXSAVE
    sse = fxsave if there & SSE else START_FXSAVE
    mxcsr = fxsave if there & (X87 | SSE) else START_FXSAVE
    return b"".join((
        x87[:MXCSR_AT], mxcsr[MXCSR_AT:ST_AT], x87[ST_AT:XMM_AT], sse[XMM_AT:FXSAVE_BYTES],
    ))  # fmt: skip


def begin_handler(task: Task) -> None:
    """Give a task the state that a handler starts with."""
    task.cpu.set_fpu(START_FXSAVE)
    if task.kernel.has_cpu("pku"):
        task.mm.pkru = PKRU_IN_HANDLER


def restore(task: Task, at: int) -> None:
    """Set the state from a frame's image at an address; 0: the first state.

    Errors: EFAULT (it cannot be read, or the processor would refuse it).
    """
    has_keys = task.kernel.has_cpu("pku")
    if at % (XSAVE_ALIGNMENT if has_keys else FXSAVE_ALIGNMENT):
        raise SyscallError(errno.EFAULT)
    fxsave = task.mm.copy_in(at, FXSAVE_BYTES) if at else START_FXSAVE
    there, pkru = _saved_keys(task, at, fxsave) if has_keys else (X87 | SSE, None)
    try:
        set_fxsave(task.cpu, _of_components(fxsave, there))
    except SyscallError:
        raise SyscallError(errno.EFAULT) from None
    if pkru is not None:
        task.mm.pkru = pkru


def _saved_keys(task: Task, at: int, fxsave: bytes) -> tuple[int, int]:
    """Return which components the frame has, and PKRU: 0, its first state, if it has none.

    Errors: EFAULT: it says that there are others.
    """
    magic, size, components, nbytes = SOFTWARE.unpack_from(fxsave, SOFTWARE_AT)
    if not at or magic != MAGIC1 or nbytes > size or not components & KEYS:
        return X87 | SSE, 0
    tail = task.mm.copy_in(at + FXSAVE_BYTES, XSTATE_BYTES + 4 - FXSAVE_BYTES)
    (there,) = HEADER.unpack_from(tail)
    pkru, last = struct.unpack_from("<I4xI", tail, HEADER.size)
    if last != MAGIC2:
        return X87 | SSE, 0
    if there & ~(X87 | SSE | KEYS):
        raise SyscallError(errno.EFAULT)
    return there & components, int(pkru) if there & KEYS else 0
