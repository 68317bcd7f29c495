"""Run bytes of x86-64 code with RBX at given data; return the 32 bytes behind the data."""

import subprocess

from unicorn import UC_ARCH_X86, UC_MODE_64, Uc
from unicorn.x86_const import UC_X86_REG_RBX, UC_X86_REG_RSP


def native(code, data, *under):
    """On this machine's processor; under: a program to run ./native (native.c) by."""
    command = [*under, "./native", code.hex(), data.hex()]
    return bytes.fromhex(subprocess.check_output(command, text=True))


def qemu(code, data):
    """Under the qemu-x86_64-static that the script has unpacked; its processor has all it can."""
    return native(code, data, "root/usr/bin/qemu-x86_64-static", "-cpu", "max")


def unicorn(code, data):
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)
    uc.mem_write(0x1000, code)
    uc.mem_write(0x10000, data)
    uc.reg_write(UC_X86_REG_RBX, 0x10000)
    uc.reg_write(UC_X86_REG_RSP, 0x11000)
    uc.emu_start(0x1000, 0x1000 + len(code))
    return bytes(uc.mem_read(0x10000 + len(data), 32))


def control(word):
    """Return code that initialises x87 with this control word, by way of [RBX+32]."""
    return bytes.fromhex("dbe3 66c74320") + word.to_bytes(2, "little") + bytes.fromhex("d96b20")
