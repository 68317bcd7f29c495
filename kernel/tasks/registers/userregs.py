"""struct user_regs_struct: a task's registers as debuggers and core files have them."""

from __future__ import annotations

import struct

from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Context

# In Linux's order; names that are no register here are constant.
USER_REGS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs",
    "gs",
)  # fmt: skip
CONSTANT_REGS = {"cs": 0x33, "ss": 0x2B, "ds": 0, "es": 0, "fs": 0, "gs": 0}
REGS = struct.Struct(f"<{len(USER_REGS)}Q")


def user_regs(context: Context, orig_rax: int) -> dict[str, int]:
    """Return all registers by their names. orig_rax: the system call that it is in, or NO_CALL."""
    return CONSTANT_REGS | context.registers() | {"orig_rax": orig_rax}


def pack_regs(values: dict[str, int]) -> bytes:
    """Return the struct of all registers."""
    return REGS.pack(*[values[name] for name in USER_REGS])


def unpack_regs(data: bytes) -> dict[str, int]:
    """Return the registers of a struct by their names."""
    return dict(zip(USER_REGS, REGS.unpack(data), strict=True))
