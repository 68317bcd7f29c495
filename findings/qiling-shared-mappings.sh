#!/usr/bin/env bash
# Qiling 1.4.6 (PyPI, on Unicorn 2.1.4): MAP_SHARED is a copy.
# Expected (mmap(2), MAP_SHARED: updates are visible to other processes that map the same region, and are
#   carried through to the file; fork(2); the host's kernel in the same run): one memory, seen by read(),
#   by a second mapping, by a child.
# Seen: a store through a shared mapping never reaches the file, a write to the file never reaches the
#   mapping, two mappings of one file are strangers, and so are parent and child in shared anonymous memory.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv qiling==1.4.6 unicorn==2.1.4
mkdir root
cat >program.c <<'C'
#include "raw.h"

int run(int argument)
{
	/* In the current folder on the host, in the root's under Qiling: the same. */
	long fd = call(2, (long)"data", 01102, 0600, 0, 0, 0);
	char *first, *second, *shared, byte;
	int status;
	long child;

	call(1, fd, (long)"AAAA", 4, 0, 0, 0);
	first = (char *)call(9, 0, 4096, 3, 1, fd, 0);
	second = (char *)call(9, 0, 4096, 3, 1, fd, 0);
	first[0] = 'B';
	call(26, (long)first, 4096, 4, 0, 0, 0);
	call(8, fd, 0, 0, 0, 0, 0);
	call(0, fd, (long)&byte, 1, 0, 0, 0);
	say("the file after a store through a mapping, B is", byte - 'A');
	call(1, fd, (long)"C", 1, 0, 0, 0);
	say("the mapping after a write to the file, C is", first[1] - 'A');
	first[2] = 'D';
	say("a second mapping after a store through the first, D is", second[2] - 'A');
	shared = (char *)call(9, 0, 4096, 3, 0x21, -1, 0);
	child = call(57, 0, 0, 0, 0, 0, 0);
	if (child == 0) {
		shared[0] = 9;
		call(231, 0, 0, 0, 0, 0, 0);
	}
	call(61, child, (long)&status, 0, 0, 0, 0);
	say("shared memory after a child stored 9", shared[0]);
	return 0;
}
C
gcc -O1 -static -nostdlib -fno-stack-protector -fcf-protection=none -I"$HERE" -o root/program program.c
expect "host" "$(cd root && ./program)" \
"the file after a store through a mapping, B is: 1
the mapping after a write to the file, C is: 2
a second mapping after a store through the first, D is: 3
shared memory after a child stored 9: 9"
rm root/data
expect "Qiling" "$("$W/venv/bin/python" "$HERE/under_qiling.py" 2>/dev/null | grep -v 'not implemented')" \
"the file after a store through a mapping, B is: 0
the mapping after a write to the file, C is: 0
a second mapping after a store through the first, D is: 0
shared memory after a child stored 9: 0"
