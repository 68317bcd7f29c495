"""Protection keys in machine code: RDPKRU and WRPKRU, faults, frames, execute-only memory.

The output expected here is that of a processor with keys; where the host has them it is asked, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host import FEATURES
from tests.system.conftest import Compile, Machine, on_host, same_as_host

DENIED = "code 4 pkey 1 error {:#x} frame 1"
LOAD, STORE, ABSENT = (DENIED.format(error) for error in (0x25, 0x27, 0x4))
EXPECTED = f"""\
start 0x55555554
keys 1 2, pkru 0x55555560
protect 0 -22
open: store fine
write denied: load fine
write denied: store {STORE}
denied: load {LOAD}
untouched page beside: load fine
kernel: -14
write from it: -14
denied, nothing there yet: load {ABSENT}
populate -22
handler had another pkru: 0
child: {LOAD}
child's rights 3
rights after vfork 3
again: fine
free 0 -22 -22
execute only: 0 runs 42 load {LOAD}
its key: free -22, pkru 0x55555564
mlock -12, populate -22
readable again: fine, runs 42
13 more, then -28
bad: -22 -22
"""


@pytest.mark.boot(cpu="pku")
@pytest.mark.parametrize("flavour", ["musl", "glibc"])
def test_a_program_with_keys(compile_c: Compile, machine: Machine, flavour: str) -> None:
    assert machine.run(compile_c("keys", flavour)).out.decode() == EXPECTED


def test_the_host_s_keys_say_the_same(compile_c: Compile) -> None:
    ran = on_host(compile_c("keys", "glibc")).out.decode()
    assert ran == (EXPECTED if "pku" in FEATURES else "no keys: -22 then -28 free -22\n")


def test_without_keys_the_calls_say_so(compile_c: Compile, machine: Machine) -> None:
    assert machine.run(compile_c("keys")).out == b"no keys: -22 then -28 free -22\n"


# Which accesses of the kernel obey a key: nothing is denied, every access is, stores are.
ACCESSES = """\
-- open
calls 8 8 8 0 8
mem 8 8
process_vm, the other side 8 8
process_vm, this side 8 8
ring reads: 1=8
ring writes: 1=8
registered buffer 0
words -11 -11 0 0 0 0
tracer 0 0
list released
lock released
after a frame b 100
locked: shared, private, advised 0 0 0
-- no access
calls -14 -14 -14 -14 -14
mem 8 8
process_vm, the other side 8 8
process_vm, this side -14 -14
ring reads: 1=-14
ring writes: 1=-14
registered buffer -14
words -14 -14 0 -14 -14 -14
tracer 0 0
list kept
lock kept
after a frame b 100
locked: shared, private, advised -12 -12 -22
-- no stores
calls -14 8 -14 -14 8
mem 8 8
process_vm, the other side 8 8
process_vm, this side -14 8
ring reads: 1=-14
ring writes: 1=8
registered buffer -14
words -11 -11 0 0 -14 -14
tracer 0 0
list released
lock kept
after a frame b 100
locked: shared, private, advised 0 -12 -22
"""


@pytest.mark.boot(cpu="pku")
def test_accesses_of_the_kernel_obey_keys_unless_they_go_past_protection(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("keyaccess", "glibc")
    assert machine.run(program, "/tmp").out.decode() == ACCESSES
    if "pku" in FEATURES:
        assert on_host(program, str(tmp_path)).out.decode() == ACCESSES


@pytest.mark.boot(cpu="pku")
def test_the_extended_state_is_read_and_set_as_on_the_host(
    compile_c: Compile, machine: Machine
) -> None:
    same_as_host(machine, compile_c("xregsets", "glibc"))


WRONG = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
static void on(int signo, siginfo_t *info, void *uc)
{
	printf("signal %d code %#x\n", signo, info->si_code);
	fflush(stdout);
	_Exit(0);
}
int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGILL, &action, 0);
	if (*argv[1] == 'r')
		__asm__ volatile(".byte 0x0f,0x01,0xee" :: "c"(atoi(argv[2])) : "rax", "rdx");
	else
		__asm__ volatile(".byte 0x0f,0x01,0xef" :: "a"(0), "c"(atoi(argv[2])), "d"(atoi(argv[3])));
	puts("done");
}
"""


@pytest.mark.boot(cpu="pku")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("r", "0"), b"done\n"),
        (("r", "1"), b"signal 11 code 0x80\n"),
        (("w", "1", "0"), b"signal 11 code 0x80\n"),
        (("w", "0", "1"), b"signal 11 code 0x80\n"),
        (("w", "0", "0"), b"done\n"),
    ],
)
def test_registers_that_must_be_zero(
    compile_c: Compile, machine: Machine, arguments: tuple[str, ...], says: bytes
) -> None:
    assert machine.run(compile_c(WRONG), *arguments).out == says


def test_without_keys_the_instructions_are_invalid(compile_c: Compile, machine: Machine) -> None:
    assert machine.run(compile_c(WRONG), "r", "0").out == b"signal 4 code 0x2\n"


@pytest.mark.boot(cpu="pku")
def test_the_segfault_line_has_the_key_s_bit(compile_c: Compile, machine: Machine) -> None:
    program = compile_c(
        "#include <sys/mman.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        "int main(void){char*p=mmap(0,4096,3,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);*p=1;\n"
        "long k=syscall(SYS_pkey_alloc,0,1);syscall(SYS_pkey_mprotect,p,4096,3,k);return *p;}\n"
    )
    assert machine.run(program).status == 11
    assert any("segfault at" in line and "error 25" in line for line in machine.kernel.log.lines())
