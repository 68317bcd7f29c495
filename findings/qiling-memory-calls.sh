#!/usr/bin/env bash
# Qiling 1.4.6 (PyPI, on Unicorn 2.1.4): memory calls of a static x86-64 program for Linux.
# Expected (mmap(2), munmap(2), mprotect(2), madvise(2), mincore(2), mremap(2), and the host's kernel in
#   the same run): the error that the manual names, and ENOSYS (-38) where there is no such call.
# Seen: a call that Qiling has not leaves the register as it was, so that mincore answers 27, mremap
#   25, msync 26: their own numbers, which a program takes for success. Addresses off a page, advice
#   that does not exist and mappings neither shared nor private succeed; errors are -1 (EPERM)
#   whatever the cause; a length of 0 and a hole under mprotect end the emulation with an exception of Python's.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv qiling==1.4.6 unicorn==2.1.4
mkdir root
cat >program.c <<'C'
#include "raw.h"
#define PRIVATE 0x22
#define HOLE 0x700000000000

/* An address is not the answer: only that there is one. */
static long mapped(long result)
{
	return result > 0 && result % 4096 == 0 ? 1 : result;
}

int run(int which)
{
	long page = call(9, 0, 16384, 3, PRIVATE, -1, 0);

	switch (which) {
	case 0:
		say("mmap with an offset off a page", mapped(call(9, 0, 4096, 3, PRIVATE, -1, 1)));
		break;
	case 1:
		say("mmap neither shared nor private", mapped(call(9, 0, 4096, 3, 0x20, -1, 0)));
		break;
	case 2:
		say("mmap of a closed descriptor", mapped(call(9, 0, 4096, 3, 2, 77, 0)));
		break;
	case 3:
		say("MAP_FIXED_NOREPLACE on a mapping", mapped(call(9, page, 4096, 3, PRIVATE | 0x100000, -1, 0)));
		break;
	case 4:
		say("munmap off a page", call(11, page + 1, 4096, 0, 0, 0, 0));
		break;
	case 5:
		say("mprotect off a page", call(10, page + 1, 4096, 1, 0, 0, 0));
		break;
	case 6:
		say("madvise, unknown", call(28, page, 4096, 99, 0, 0, 0));
		break;
	case 7:
		say("mincore of a hole", call(27, HOLE, 4096, page, 0, 0, 0));
		break;
	case 8:
		say("mremap, larger", mapped(call(25, page, 16384, 65536, 1, 0, 0)));
		break;
	case 9:
		say("msync of a hole", call(26, HOLE, 4096, 4, 0, 0, 0));
		break;
	case 10:
		say("mmap of nothing", call(9, 0, 0, 3, PRIVATE, -1, 0));
		break;
	case 11:
		say("munmap of nothing", call(11, page, 0, 0, 0, 0, 0));
		break;
	case 12:
		say("mprotect of a hole", call(10, HOLE, 4096, 1, 0, 0, 0));
		break;
	}
	return 0;
}
C
gcc -O1 -static -nostdlib -fno-stack-protector -fcf-protection=none -I"$HERE" -o root/program program.c
# Each call in a run of its own: some end the emulation.
all() { for which in {a..m}; do "$@" "$which" 2>/dev/null | grep -v 'not implemented'; done; }
expect "host" "$(all root/program)" \
"mmap with an offset off a page: -22
mmap neither shared nor private: -22
mmap of a closed descriptor: -9
MAP_FIXED_NOREPLACE on a mapping: -17
munmap off a page: -22
mprotect off a page: -22
madvise, unknown: -22
mincore of a hole: -12
mremap, larger: 1
msync of a hole: -12
mmap of nothing: -22
munmap of nothing: -22
mprotect of a hole: -12"
expect "Qiling" "$(all "$W/venv/bin/python" "$HERE/under_qiling.py")" \
"mmap with an offset off a page: 1
mmap neither shared nor private: 1
mmap of a closed descriptor: -1
MAP_FIXED_NOREPLACE on a mapping: -1
munmap off a page: 0
mprotect off a page: 0
madvise, unknown: 0
mincore of a hole: 27
mremap, larger: 25
msync of a hole: 26
QlOutOfMemory
IndexError
QlMemoryMappedError"
