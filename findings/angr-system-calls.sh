#!/usr/bin/env bash
# angr 9.2.213 (PyPI): system calls of a static x86-64 program for Linux, all its values concrete.
# Expected (writev(2), getrlimit(2), arch_prctl(2), mmap(2), munmap(2), mprotect(2), brk(2), dup(2), access(2), and the
#   host's kernel in the same run): the bytes written, the limit, the base that was set, the lowest free descriptor,
#   the error that the manual names.
# Seen: writev answers 0; what getrlimit and ARCH_GET_FS store has its bytes in the wrong order, so that the stack may
#   have 128 TiB; munmap does nothing, a MAP_FIXED mapping never replaces one, the break never goes down; dup after a
#   close answers a number in use, whose file is lost; errors are -1 (EPERM), or positive.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# With the newest bitstring and pycparser that it allows it cannot be imported.
venv angr==9.2.213 bitstring==4.3.1 pycparser==3.0
cat >program.c <<'C'
#include "raw.h"
#define PRIVATE 0x22
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

/* An address is not the answer: only that there is one. */
static long mapped(long result)
{
	return result > 0 && result % 4096 == 0 ? 1 : result;
}

static long dup(long fd)
{
	return call(32, fd, 0, 0, 0, 0, 0);
}

int run(int unused)
{
	long page = call(9, 0, 16384, 3, PRIVATE, -1, 0), first, end;
	long limit[2], base, parts[4] = {(long)"ab", 2, (long)"cde", 3};

	say("writev of 2 and 3 bytes", call(20, 2, (long)parts, 2, 0, 0, 0));
	call(97, 3, (long)limit, 0, 0, 0, 0);
	say("getrlimit, stack", limit[0]);
	call(158, ARCH_SET_FS, 0x1234000, 0, 0, 0, 0);
	call(158, ARCH_GET_FS, (long)&base, 0, 0, 0, 0);
	say("ARCH_GET_FS after ARCH_SET_FS of 19087360", base);
	say("arch_prctl, unknown", call(158, 0x9999, 0, 0, 0, 0, 0));
	say("mmap with MAP_FIXED on a mapping", mapped(call(9, page, 4096, 3, PRIVATE | 0x10, -1, 0)));
	say("mmap with an offset off a page", mapped(call(9, 0, 4096, 3, PRIVATE, -1, 1)));
	say("munmap off a page", call(11, page + 1, 4096, 0, 0, 0, 0));
	call(11, page, 4096, 0, 0, 0, 0);
	say("mprotect after munmap", call(10, page, 4096, 1, 0, 0, 0));
	end = call(12, 0, 0, 0, 0, 0, 0);
	call(12, end + 8192, 0, 0, 0, 0, 0);
	say("brk up by 8192, then back", call(12, end, 0, 0, 0, 0, 0) - end);
	first = dup(2);
	dup(2);
	dup(2);
	call(3, first, 0, 0, 0, 0, 0);
	say("dup after close of the first of three", dup(2) - first);
	say("access of what is not there", call(21, (long)"/not/there", 0, 0, 0, 0, 0));
	return 0;
}
C
gcc -O1 -static -nostdlib -fno-stack-protector -fcf-protection=none -I"$HERE" -o program program.c
cat >t.py <<'P'
import logging
import angr

logging.disable()
project = angr.Project("program", auto_load_libs=False)
manager = project.factory.simulation_manager(project.factory.full_init_state())
manager.run()
(state,) = manager.deadended
print(state.posix.dumps(1).decode(), end="")
P
ulimit -Ss 8192
expect "host" "$(./program 2>/dev/null)" \
"writev of 2 and 3 bytes: 5
getrlimit, stack: 8388608
ARCH_GET_FS after ARCH_SET_FS of 19087360: 19087360
arch_prctl, unknown: -22
mmap with MAP_FIXED on a mapping: 1
mmap with an offset off a page: -22
munmap off a page: -22
mprotect after munmap: -12
brk up by 8192, then back: 0
dup after close of the first of three: 0
access of what is not there: -2"
expect "angr" "$("$W/venv/bin/python" t.py 2>/dev/null)" \
"writev of 2 and 3 bytes: 0
getrlimit, stack: 140737488355328
ARCH_GET_FS after ARCH_SET_FS of 19087360: 18052885711421440
arch_prctl, unknown: 22
mmap with MAP_FIXED on a mapping: -1
mmap with an offset off a page: 1
munmap off a page: 0
mprotect after munmap: 0
brk up by 8192, then back: 8192
dup after close of the first of three: 1
access of what is not there: -1"
