"""The page tables mean to the engine's own hardware walker what they mean to our MMU.

A program leaves an address space with every kind of page; then a second engine, with paging on and
the same CR3, makes each access in user mode. Its page faults must be where the kernel's translation
refuses, with the error code that the architecture defines, and its loads must find the same bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.machine import Kernel
from tests.system.conftest import Compile, Machine

unicorn = pytest.importorskip("unicorn")
x86 = pytest.importorskip("unicorn.x86_const")
elffile = pytest.importorskip("elftools.elf.elffile")

SOURCE = r"""
#include <sys/mman.h>
#include <unistd.h>
__asm__(".globl probe_load, probe_store, probe_jump\n"
        "probe_load: mov (%rdi), %al\n int $0x20\n"
        "probe_store: orb $0, (%rdi)\n int $0x20\n"
        "probe_jump: jmp *%rdi\n");
extern volatile char probe_load[], probe_store[], probe_jump[];
static char *map(int prot, int flags, int fd) {
    return mmap(0, 4096, prot, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}
int main(void) {
    int fd = memfd_create("x", 0);
    volatile char sum = probe_load[0] + probe_store[0] + probe_jump[0];
    ftruncate(fd, 4096);
    for (int prot = 0; prot < 8; prot++) {
        map(prot, MAP_PRIVATE, -1);                /* never touched */
        char *pages[5];
        for (int i = 0; i < 5; i++)
            pages[i] = map(3, i == 2 || i == 3 ? MAP_SHARED : MAP_PRIVATE, i < 2 ? -1 : fd);
        sum += pages[0][0];                        /* the zero page */
        pages[1][1] = 7 + prot;
        pages[2][2] = 9;
        sum += pages[3][0];                        /* clean */
        pages[4][3] = 1;                           /* a copy of the file's page */
        for (int i = 0; i < 5; i++)
            mprotect(pages[i], 4096, prot);
    }
    fork();                                        /* write-protects what both have */
    map(3, MAP_PRIVATE, -1)[0] = 1;
    for (;;) pause();
}
"""
KERNEL_PAGE = 0x70_0000_0000  # physical, beyond the arena
CODE, USER_CODE, STACK = 0x100, 0x200, 0x800
SYMBOLS = {
    lib.ACCESS_READ: "probe_load",
    lib.ACCESS_WRITE: "probe_store",
    lib.ACCESS_EXEC: "probe_jump",
}
PAGE, PAGE_FAULT = 4096, 14


class HardwareWalker:
    """An engine in 64-bit user mode whose own MMU walks the tables of one address space."""

    def __init__(self, kernel: Kernel, cr3: int) -> None:
        self.faulted: int | None = None
        self.cr3 = cr3
        uc = self.uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        arena = int(ffi.cast("uintptr_t", lib.machine_arena(kernel.core)))
        uc.mem_map_ptr(0, kernel.ram, unicorn.UC_PROT_ALL, ctypes.c_void_p(arena))
        uc.mem_map(KERNEL_PAGE, PAGE)
        uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        self._enter_user_mode()
        self._turn_paging_on()
        self.start = uc.context_save()

    def _enter_user_mode(self) -> None:
        uc = self.uc
        entries = [0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0, 0x00CFF3000000FFFF,
                   0x00AFFB000000FFFF]  # fmt: skip
        uc.mem_write(KERNEL_PAGE, struct.pack("<7Q", *entries))
        uc.mem_write(KERNEL_PAGE + CODE, b"\x48\xcf")  # iretq
        frame = (KERNEL_PAGE + USER_CODE, 0x33, 0x202, KERNEL_PAGE + STACK - 8, 0x2B)
        uc.mem_write(KERNEL_PAGE + STACK, struct.pack("<5Q", *frame))
        uc.reg_write(x86.UC_X86_REG_GDTR, (0, KERNEL_PAGE, 55, 0))
        uc.reg_write(x86.UC_X86_REG_CS, 0x10)
        uc.reg_write(x86.UC_X86_REG_SS, 0x18)
        uc.reg_write(x86.UC_X86_REG_RSP, KERNEL_PAGE + STACK)
        uc.emu_start(KERNEL_PAGE + CODE, KERNEL_PAGE + USER_CODE, count=1)
        assert uc.reg_read(x86.UC_X86_REG_CS) == 0x33

    def _turn_paging_on(self) -> None:
        uc = self.uc
        uc.msr_write(0xC0000080, 0xD01)
        uc.reg_write(x86.UC_X86_REG_CR4, 0x620)
        uc.reg_write(x86.UC_X86_REG_CR3, self.cr3)
        uc.reg_write(x86.UC_X86_REG_CR0, 0x80010033)

    def _interrupt(self, uc: Any, vector: int, data: object) -> None:
        if vector == PAGE_FAULT and self.faulted is None:
            self.faulted = int(uc.reg_read(x86.UC_X86_REG_CR2))
        uc.emu_stop()

    def allows(self, code: int, addr: int) -> bool:
        """Run the code at `code` on addr in user mode; tell whether its page faulted."""
        self.faulted = None
        self.uc.context_restore(self.start)
        self.uc.reg_write(x86.UC_X86_REG_CR3, self.cr3)  # empties the TLB
        self.uc.reg_write(x86.UC_X86_REG_RDI, addr)
        self.uc.reg_write(x86.UC_X86_REG_RAX, 1 << 63)  # for what a jump may find
        with contextlib.suppress(unicorn.UcError):
            self.uc.emu_start(code, 0, count=2)
        return self.faulted != addr


def symbols(program: Path) -> dict[str, int]:
    with program.open("rb") as file:
        table = elffile.ELFFile(file).get_section_by_name(".symtab")
        return {s.name: int(s["st_value"]) for s in table.iter_symbols()}


def test_hardware_and_the_kernel_read_the_same_tables(compile_c: Compile, kernel: Kernel) -> None:
    program = compile_c(SOURCE, "musl")
    task = Machine(kernel).spawn(program)
    scheduler = kernel.scheduler
    assert scheduler is not None
    scheduler.run_until(
        lambda: all(t.waiting for t in kernel.tasks.values() if t.context is not None)
    )
    found = symbols(program)
    walker = HardwareWalker(kernel, lib.context_cr3(task.cpu.handle))
    handle = task.mm.handle
    verdicts = set()
    for vma in task.mm.vmas():
        for addr in range(vma.start, vma.end, PAGE):
            entry = ffi.new("uint64_t[4]")
            depth = lib.mm_walk(handle, addr, entry)
            bits = entry[3] & (7 | 1 << 63) if depth == 4 else 0
            for access, symbol in SYMBOLS.items():
                kernels = lib.mm_translate(handle, addr + 5, access) >= 0
                hardwares = walker.allows(found[symbol], addr + 5)
                assert kernels == hardwares, (hex(addr), vma.perms, symbol, hex(entry[3]))
                verdicts.add((bits, access, kernels))
    combinations = {bits for bits, _, _ in verdicts}
    nx = 1 << 63
    assert combinations == {0, 5, 7, nx | 1, nx | 5, nx | 7}  # P, W, U and NX as Linux uses them
    assert {kernels for _, _, kernels in verdicts} == {True, False}
