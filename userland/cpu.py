"""The emulated processor as Python programs see it: Unicorn behind kernel/core/cpu/cpu.c.

Owns the life of one `Cpu`. Every TLB miss is served in C;
`Cpu.run` comes back only with a reason that the emulator must act on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Flag, IntEnum
from typing import Any

from pkern.kernel.core import ffi, lib
from pkern.userland.engine import INSTALL, CpuUnavailable, engine_library

PAGE = 4096
OUTPUT_CHUNK = 65536


class Stop(IntEnum):
    """Why the processor came back; the same numbers as enum cpu_stop in cpu.h."""

    HALTED = 0
    NEW_CR3 = 1
    WINDOW_MISS = 2
    STALE = 3
    GUEST_FAULT = 4
    EXCEPTION = 5
    BAD_TABLE = 6
    BEYOND_WINDOW = 7
    NEED = 8
    BUDGET = 9
    ENGINE = 10


class FaultCode(Flag):
    """The error code of a page fault, bit by bit as the processor defines it."""

    PRESENT = 1
    WRITE = 2
    USER = 4
    RESERVED = 8
    FETCH = 16


@dataclass(frozen=True, slots=True)
class CpuWindow:
    """Where the emulator task shows the guest: user addresses and lengths in bytes.

    budget: blocks of guest code to run before Stop.BUDGET; 0 is no end.
    """

    window: int
    window_bytes: int
    ram: int
    ram_bytes: int
    budget: int = 0


@dataclass(frozen=True, slots=True)
class CpuStop:
    """One return of the processor; what each field means is said in cpu.h (struct cpu_exit)."""

    reason: Stop
    linear: int
    physical: int
    writable: bool
    host: int
    access: int
    error_code: FaultCode
    vector: int
    rip: int
    engine_error: int

    @property
    def is_store(self) -> bool:
        """Tell whether the access that stopped the run was a store."""
        return bool(self.access == lib.ACCESS_WRITE)


@dataclass(frozen=True, slots=True)
class CpuStart:
    """The registers that a guest starts with: addresses in bytes."""

    rip: int
    rsp: int
    rdi: int
    cr3: int


class Cpu:
    """One processor over one task's address space; close it before the task exits."""

    def __init__(self, machine: Any, space: Any, window: CpuWindow) -> None:
        """Open the engine over `space` (mm*) of `machine` (machine*).

        Errors: CpuUnavailable; ValueError for a window that is empty or not page aligned.
        """
        params = ffi.new(
            "struct cpu_params *",
            (window.window, window.window_bytes, window.ram, window.ram_bytes, window.budget),
        )
        out = ffi.new("cpu **")
        status = lib.cpu_create(machine, space, os.fsencode(engine_library()), params, out)
        self._handle = out[0]
        self._exit = ffi.new("struct cpu_exit *")
        self._buffer = ffi.new("char[]", OUTPUT_CHUNK)
        if status:
            self._refuse(status)

    def _refuse(self, status: int) -> None:
        reason = ffi.string(lib.cpu_load_error(self._handle)).decode()
        self.close()
        if not reason:
            raise ValueError(f"the processor's window is not valid (errno {-status})")
        raise CpuUnavailable(f"{reason}; install it by {INSTALL}")

    def close(self) -> None:
        """Give the engine back; a second call does nothing."""
        lib.cpu_destroy(self._handle)
        self._handle = ffi.NULL

    def reset(self, start: CpuStart) -> None:
        """Put the processor in 64-bit mode with paging on, at the first instruction.

        Errors: ValueError when the engine does not take the CR3.
        """
        registers = ffi.new("struct cpu_start *", (start.rip, start.rsp, start.rdi, start.cr3))
        if lib.cpu_reset(self._handle, registers):
            raise ValueError(f"the processor does not take CR3 {start.cr3:#x}")

    def run(self) -> CpuStop:
        """Run the guest until something is needed of the emulator, or it ends."""
        lib.cpu_run(self._handle, self._exit)
        end = self._exit
        return CpuStop(
            reason=Stop(end.reason),
            linear=end.linear,
            physical=end.physical,
            writable=bool(end.writable),
            host=end.host,
            access=end.access,
            error_code=FaultCode(end.error_code),
            vector=end.vector,
            rip=end.rip,
            engine_error=end.engine_error,
        )

    def output(self) -> bytes:
        """Take what the guest wrote to port 0xe9 since the last call."""
        parts = []
        while count := lib.cpu_output(self._handle, self._buffer, OUTPUT_CHUNK):
            parts.append(ffi.buffer(self._buffer, count)[:])
        return b"".join(parts)

    @property
    def tlb_fills(self) -> int:
        """TLB misses served in C so far; varies with the host's speed, so never compare it."""
        return int(lib.cpu_counters(self._handle).tlb_fills)

    def engine_text(self, engine_error: int) -> str:
        """Return the engine's own words for an error number."""
        return str(ffi.string(lib.cpu_engine_text(self._handle, engine_error)).decode())
