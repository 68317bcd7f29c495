"""Instructions of RISC-V, as words, in Unicorn: what scripts for other emulators compare with."""

import os
import struct
import subprocess

from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV32, UC_MODE_RISCV64, Uc, riscv_const

CODE, DATA = 0x1000, 0x2000


def register_type(funct7, rs2, rs1, funct3, rd, opcode=0x33):
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def immediate_type(immediate, rs1, funct3, rd, opcode=0x13):
    return (immediate & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def store_type(immediate, rs2, rs1, funct3):
    high, low = immediate >> 5, immediate & 31
    return high << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | low << 7 | 0x23


def unicorn(words, registers, data=b""):
    """Run these words; answer x3 and the data."""
    uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    uc.mem_map(CODE, 0x1000)
    uc.mem_map(DATA, 0x1000)
    uc.mem_write(CODE, struct.pack(f"<{len(words)}I", *words))
    uc.mem_write(DATA, data)
    for number, value in registers.items():
        uc.reg_write(riscv_const.UC_RISCV_REG_X0 + number, value)
    uc.emu_start(CODE, CODE + 4 * len(words))
    return uc.reg_read(riscv_const.UC_RISCV_REG_X3), bytes(uc.mem_read(DATA, len(data)))


BASE, DATA_AT, RESULT_AT = 0x10000, 0x400, 0x420


def float_program(word, x1=0, f1=0, f2=0, rounding=0):
    """Return a program of RV64 and the length of its beginning, which runs the word.

    It loads x1, f1, f2 and frm, runs the word, stores f3, x3 and fcsr, writes them and exits.
    """
    csr = 0x003 << 20 | 0x73  # fcsr
    code = [
        31 << 7 | 0x17,  # auipc x31
        immediate_type(DATA_AT, 31, 3, 1, 0x03),
        immediate_type(DATA_AT + 8, 31, 3, 1, 0x07),
        immediate_type(DATA_AT + 16, 31, 3, 2, 0x07),
        immediate_type(DATA_AT + 24, 31, 3, 5, 0x03),
        csr | 5 << 15 | 1 << 12,
        word,
        csr | 2 << 12 | 6 << 7,
        store_type(RESULT_AT, 3, 31, 3) | 4,  # fsd
        store_type(RESULT_AT + 8, 3, 31, 3),
        store_type(RESULT_AT + 16, 6, 31, 3),
    ]
    length = 4 * len(code)
    write = [(1, 0, 10), (RESULT_AT, 31, 11), (24, 0, 12), (64, 0, 17)]
    leave = [(0, 0, 10), (93, 0, 17)]
    for call in write, leave:
        code += [*(immediate_type(value, base, 0, to) for value, base, to in call), 0x73]
    data = struct.pack("<4Q24x", x1 & (1 << 64) - 1, f1, f2, rounding << 5)
    return struct.pack(f"<{len(code)}I", *code).ljust(DATA_AT, b"\0") + data, length


def float_qemu(emulator, program):
    """Run it as a static ELF file: RISC-V, with doubles in registers."""
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack(
        "<HHI3QI6H", 2, 243, 1, BASE + 120, 64, 0, 5, 64, 56, 1, 64, 0, 0
    )  # RISC-V, double ABI
    size = 120 + len(program)
    header += struct.pack("<II6Q", 1, 7, 0, BASE, BASE, size, size, 4096)
    with open("float.elf", "wb") as file:
        file.write(header + program)
    os.chmod("float.elf", 0o755)
    answer = subprocess.run([emulator, "./float.elf"], capture_output=True, check=True).stdout
    return struct.unpack("<3Q", answer)


def float_unicorn(program, length):
    uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV64)
    uc.mem_map(BASE, 0x1000)
    uc.mem_write(BASE, program)
    uc.reg_write(riscv_const.UC_RISCV_REG_MSTATUS, 0x6000)  # the floating-point unit is on
    uc.emu_start(BASE, BASE + length)
    return struct.unpack("<3Q", uc.mem_read(BASE + RESULT_AT, 24))
