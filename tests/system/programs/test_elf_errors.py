"""What must never break the kernel: corrupt programs, wrong pointers, failed allocations."""

from __future__ import annotations

import errno
import os
import random
import shutil
import struct
from pathlib import Path

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.syscalls.strace.tracer import Tracer
from pkern.userland.machine_code import captured as in_memory
from pkern.userland.machine_code import put_program, spawn_program, start_init
from tests.rounds import ROUNDS
from tests.system.conftest import Compile, Machine, on_host

SMALL = r"""
#include <unistd.h>
int main(void) { write(1, "ran\n", 4); return 0; }
"""


# ---- corrupt programs ----


def outcome(kernel: Kernel, data: bytes, tmp_path: Path) -> str:
    """Run a file's bytes as a program; return the errno's name, or how it ended."""
    file = tmp_path / "program"
    file.write_bytes(data)
    file.chmod(0o755)
    put_program(kernel, file, "/bin/program")
    stdio = in_memory(kernel, b"", lambda data: None)
    try:
        task = spawn_program(kernel, "/bin/program", ["program"], stdio=stdio)
    except SyscallError as error:
        return errno.errorcode[error.number]
    assert kernel.scheduler is not None
    kernel.scheduler.run(task)
    status = task.exit_status or 0
    return f"signal {status & 0x7F}" if status & 0x7F else f"exit {status >> 8}"


def patched(data: bytes, offset: int, layout: str, value: int) -> bytes:
    packed = struct.pack(layout, value)
    return data[:offset] + packed + data[offset + len(packed) :]


CORRUPT = {
    "magic": (0, "<B", 0x7E, "ENOEXEC"),
    "32 bit": (4, "<B", 1, "exit 0"),  # Linux looks at neither of these bytes
    "big endian": (5, "<B", 2, "exit 0"),
    "object file": (16, "<H", 1, "ENOEXEC"),
    "another machine": (18, "<H", 40, "ENOEXEC"),
    "header size": (54, "<H", 32, "ENOEXEC"),
    "no headers": (56, "<H", 0, "ENOEXEC"),
    "too many headers": (56, "<H", 0xFFFF, "ENOEXEC"),
    "headers beyond the file": (32, "<Q", 1 << 40, "ENOEXEC"),
    "headers at the end of numbers": (32, "<Q", (1 << 64) - 8, "ENOEXEC"),
    "entry nowhere": (24, "<Q", 0x10, "signal 11"),
    "entry in kernel space": (24, "<Q", 0xFFFF_8000_0000_0000, "signal 11"),
}


@pytest.mark.parametrize("name", CORRUPT)
def test_a_corrupt_header(compile_c: Compile, kernel: Kernel, tmp_path: Path, name: str) -> None:
    offset, layout, value, expected = CORRUPT[name]
    data = patched(compile_c(SMALL).read_bytes(), offset, layout, value)
    assert outcome(kernel, data, tmp_path) == expected


def first_load(data: bytes) -> int:
    """Return the file offset of the first PT_LOAD header."""
    phoff = struct.unpack_from("<Q", data, 32)[0]
    return next(
        phoff + 56 * i
        for i in range(struct.unpack_from("<H", data, 56)[0])
        if struct.unpack_from("<I", data, phoff + 56 * i)[0] == 1
    )


# Field of a program header: offset, what is written there, what Linux answers.
SEGMENTS = {
    "size over memory size": (32, 1 << 30, {"EINVAL", "ENOEXEC"}),
    "memory size absurd": (40, 1 << 62, {"EINVAL", "ENOMEM"}),
    "memory size all of user space": (40, 0x7FFF_FFFF_F000 - 0x400000, {"ENOMEM", "EEXIST"}),
    "address beyond user space": (16, 0x7FFF_FFFF_F000, {"EINVAL", "ENOMEM"}),
    "address in kernel space": (16, 0xFFFF_8000_0000_0000, {"EINVAL", "ENOMEM"}),
    "address not congruent": (16, 0x400123, {"EINVAL"}),
    "offset absurd": (8, (1 << 63) - 4096, {"EINVAL", "EOVERFLOW"}),
    "address zero": (16, 0, {"EPERM", "EACCES", "EINVAL", "signal 11"}),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_corrupt_segment(compile_c: Compile, kernel: Kernel, tmp_path: Path, name: str) -> None:
    data = compile_c(SMALL).read_bytes()
    offset, value, expected = SEGMENTS[name]
    broken = patched(data, first_load(data) + offset, "<Q", value)
    assert outcome(kernel, broken, tmp_path) in expected
    kernel.check()


def test_every_truncation_of_a_program(compile_c: Compile, kernel: Kernel, tmp_path: Path) -> None:
    data = compile_c(SMALL).read_bytes()
    for length in (0, 1, 3, 4, 16, 63, 64, 65, 120, 400, 4095, 4096, 4097, 8192):
        result = outcome(kernel, data[:length], tmp_path)
        assert result in {"ENOEXEC", "EFAULT"} or result.startswith("signal"), (length, result)
    kernel.check()


@pytest.mark.parametrize("seed", range(6))
def test_random_damage_to_headers(
    compile_c: Compile, kernel: Kernel, tmp_path: Path, seed: int
) -> None:
    """Any bytes of the headers may be anything: an errno or a signal, never a bug."""
    data = compile_c(SMALL).read_bytes()
    generator = random.Random(seed)
    interesting = [0, 1, 7, 0x7F, 0x80, 0xFF]
    seen = set()
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(generator.choice([1, 1, 2, 8])):
            broken[generator.randrange(400)] = generator.choice(interesting)
        seen.add(outcome(kernel, bytes(broken), tmp_path))
    assert "ENOEXEC" in seen and "exit 0" in seen
    kernel.check()


def test_overlapping_segments(compile_c: Compile, kernel: Kernel, tmp_path: Path) -> None:
    """The later segment lies over the earlier one, as on Linux; nothing is leaked."""
    data = compile_c(SMALL).read_bytes()
    place = first_load(data)
    vaddr = struct.unpack_from("<Q", data, place + 16)[0]
    second = patched(data, place + 56 + 16, "<Q", vaddr)
    assert outcome(kernel, second, tmp_path) in {"EINVAL", "signal 11", "signal 4", "exit 0"}
    kernel.check()


def test_an_interpreter_that_is_missing(kernel: Kernel, tmp_path: Path) -> None:
    true = shutil.which("true")
    assert true is not None
    assert outcome(kernel, Path(true).read_bytes(), tmp_path) == "ENOENT"


def test_a_script_that_names_itself(kernel: Kernel, tmp_path: Path) -> None:
    assert outcome(kernel, b"#!/bin/program\n", tmp_path) == "ELOOP"
    assert outcome(kernel, b"#!\n", tmp_path) == "ENOEXEC"
    assert outcome(kernel, b"#! \t \n", tmp_path) == "ENOEXEC"
    assert outcome(kernel, b"#!/nonexistent\n", tmp_path) == "ENOENT"
    assert outcome(kernel, b"just text\n", tmp_path) == "ENOEXEC"


# ---- wrong pointers ----


@pytest.mark.skipif(os.getuid() != 0, reason="the errors of root are compared")
def test_wrong_pointers_fail_as_on_the_host(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("badpointers")
    machine.uid = 0
    here = machine.run(program).out.decode().splitlines()
    assert here == on_host(program).out.decode().splitlines()


ROWS = str(260 * ROUNDS)


@pytest.mark.skipif(os.getuid() != 0, reason="it gives up root's rights by itself")
@pytest.mark.parametrize("words", [("0", ROWS), ("1000", ROWS, "root")], ids=["user", "root"])
def test_rare_and_wrong_arguments_fail_as_on_the_host(
    compile_c: Compile, machine: Machine, words: tuple[str, ...]
) -> None:
    """Each call in a process of its own, often with two or more arguments wrong at once."""
    program, chosen = compile_c("matrix", "glibc"), ("11", *words)
    machine.uid = 0
    here = machine.run(program, *chosen).out.decode().splitlines()
    there = on_host(program, *chosen).out.decode().splitlines()
    assert len(here) == int(ROWS)
    assert [pair for pair in zip(here, there, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("numbers", [(0, 60), (60, 150), (150, 334), (420, 470)])
def test_random_system_calls(compile_c: Compile, uid: int, numbers: tuple[int, int]) -> None:
    program = compile_c("anything")
    with Kernel("64M", sysctl={"vm.oom_policy": "kill_allocating"}) as kernel:
        machine = Machine(kernel, uid=uid)
        ran = machine.run(program, "5", "60", *(str(number) for number in numbers))
        assert ran.status == 0 and ran.out.endswith(b"60\n")
        kernel.check()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_whatever_is_asked_can_be_shown(compile_c: Compile, seed: str) -> None:
    lines: list[str] = []
    with Kernel("64M", sysctl={"vm.oom_policy": "kill_allocating"}) as kernel:
        machine = Machine(kernel, uid=0)
        task = machine.spawn(compile_c("anything"), seed, "40", "0", "470")
        assert kernel.scheduler is not None
        Tracer(lines.append).attach(kernel.scheduler)
        kernel.scheduler.run(task)
        assert task.exit_status == 0
    assert len(lines) > 500 and any("+++ exited with 0 +++" in line for line in lines[-9:])


# ---- no memory ----

FILLER = r"""
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
static char bytes[65536];
int main(void)
{
	int zero = open("/dev/zero", O_RDONLY);
	mkdir("/kept", 0700);
	mount("none", "/kept", "tmpfs", 0, "noswap,size=100%");
	int fd = open("/kept/file", O_RDWR | O_CREAT, 0600);
	while (read(zero, bytes, sizeof(bytes)) > 0 && write(fd, bytes, sizeof(bytes)) > 0)
		;
	return 1;
}
"""


def test_who_ends_for_want_of_memory_is_killed_once(compile_c: Compile) -> None:
    """The list of its robust locks is in swap by then, and there is no page to read it to."""
    with Kernel("8M", swap="4M") as kernel:
        assert Machine(kernel, uid=0).run(compile_c(FILLER, "glibc")).status == 9
        assert kernel.memory.oom.kills == 1
        kernel.check()


# ---- failed allocations ----

FAMILY = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc > 1) return 5;
    char *p = mmap(0, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 20;
    p[0] = p[4096] = 1;
    int pid = fork(), status;
    if (pid < 0) return errno == ENOMEM ? 21 : 22;
    if (!pid) {
        p[0] = 2;
        execl(argv[0], argv[0], "again", (char *)0);
        _exit(errno == ENOMEM ? 30 : 31);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 40;
}
"""
ALLOWED = {5, 20, 21, 30, 40}  # it ran; each step may be refused, with ENOMEM; a child killed


def test_every_failed_allocation_ends_cleanly(compile_c: Compile, tmp_path: Path) -> None:
    """Fail the n-th allocation of exec, faults and fork for every n, and recount each time."""
    program = compile_c(FAMILY)
    seen = set()
    for nth in range(1, 1000):
        with Kernel("16M") as kernel:
            start_init(kernel)
            put_program(kernel, program, "/bin/family")
            stdio = in_memory(kernel, b"", lambda data: None)
            kernel.fail_nth(nth)
            try:
                task = spawn_program(kernel, "/bin/family", ["/bin/family"], stdio=stdio)
            except SyscallError as error:
                assert error.number == errno.ENOMEM
                seen.add("execve")
            else:
                assert kernel.scheduler is not None
                kernel.scheduler.run(task)
                status = task.exit_status or 0
                assert not status & 0x7F and status >> 8 in ALLOWED, (nth, status)
                seen.add(str(status >> 8))
            pending = bool(lib.machine_fail_pending(kernel.core))
            kernel.fail_nth(0)
            kernel.check()
        if pending:
            break
    assert {"execve", "5", "21", "30"} <= seen, seen
    assert nth > 50
