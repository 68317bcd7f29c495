#!/usr/bin/env bash
# ceccomp 3.5 (PyPI): a filter's "greater" with a jump where it is not so is shown as "less", its XOR is assembled as
#   a multiplication, so that what the tool shows and emulates is not what the kernel does.
# Expected (seccomp(2) with Linux's Documentation/networking/filter.rst: JGT jumps to jt if A > k and to jf if not,
#   which is A <= k; JGE alike, A < k; XOR is 0xa0 among the operations of ALU): the answer of the kernel that runs
#   the filter, and from its text the bytes that it was shown from.
# Seen: "<" for JGT and "<=" for JGE, which the tool's own assembler turns back into the same bytes, while its
#   emulator takes them at their word and errs where both sides are equal; XOR comes back as MUL.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv ceccomp==3.5
cat >filtered.c <<'C'
/* filtered FILTER NUMBER: install the filter in this file and print the error number of getpgid(NUMBER). */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static struct sock_filter filter[64];
	FILE *file = fopen(argv[1], "r");
	struct sock_fprog program = {fread(filter, sizeof *filter, 64, file), filter};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	errno = 0;
	syscall(SYS_getpgid, strtoul(argv[2], NULL, 0));
	printf("ERRNO(%d)", errno);
}
C
gcc -o filtered filtered.c
cat >t.py <<'P'
import struct, subprocess

LD, RET, JEQ, JGT, JGE, XOR = 0x20, 0x06, 0x15, 0x25, 0x35, 0xA4
GETPGID, ALLOW, ERRNO = 121, 0x7FFF0000, 0x50000

def tool(verb, *arguments):
    command = ["venv/bin/ceccomp", verb, "-c", "never", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout

def seen(name, argument, *middle):
    """The filter: for getpgid these instructions, then the error 11 or, jumped to, 22; else allow."""
    code = [(LD, 0, 0, 0), (JEQ, 0, 3 + len(middle), GETPGID), (LD, 0, 0, 16), *middle]
    code += [(RET, 0, 0, ERRNO | 11), (RET, 0, 0, ERRNO | 22), (RET, 0, 0, ALLOW)]
    raw = b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
    with open("raw", "wb") as file:
        file.write(raw)
    text = tool("disasm", "raw")
    with open("text", "wb") as file:
        file.write(text)
    shown = next(line for line in text.decode().splitlines() if line.startswith(" 0004:"))
    kernel = subprocess.check_output(["./filtered", "raw", str(argument)], text=True)
    emulated = tool("emu", "-q", "text", str(GETPGID), str(argument)).decode().split()[1]
    back = tool("asm", "-f", "raw", "text")
    back = "the same" if back == raw else back[24:32].hex(" ")
    print(f"{name} of {argument}: {shown.split(maxsplit=5)[5]}")
    print(f"  kernel {kernel}, emu {emulated}, assembled again {back}")

for argument in (4, 5, 6):
    seen("jgt 5,next,22", argument, (JGT, 0, 1, 5))
    seen("jge 5,next,22", argument, (JGE, 0, 1, 5))
seen("jgt 5,22,next", 5, (JGT, 1, 0, 5))
seen("xor 3, then jeq 6,next,22", 5, (XOR, 0, 0, 3), (JEQ, 0, 1, 6))
P
expect "filter" "$("$W/venv/bin/python" t.py)" \
"jgt 5,next,22 of 4: if (\$A < 0x5) goto 0006
  kernel ERRNO(22), emu ERRNO(22), assembled again the same
jge 5,next,22 of 4: if (\$A <= 0x5) goto 0006
  kernel ERRNO(22), emu ERRNO(22), assembled again the same
jgt 5,next,22 of 5: if (\$A < 0x5) goto 0006
  kernel ERRNO(22), emu ERRNO(11), assembled again the same
jge 5,next,22 of 5: if (\$A <= 0x5) goto 0006
  kernel ERRNO(11), emu ERRNO(22), assembled again the same
jgt 5,next,22 of 6: if (\$A < 0x5) goto 0006
  kernel ERRNO(11), emu ERRNO(11), assembled again the same
jge 5,next,22 of 6: if (\$A <= 0x5) goto 0006
  kernel ERRNO(11), emu ERRNO(11), assembled again the same
jgt 5,22,next of 5: if (\$A > 0x5) goto 0006
  kernel ERRNO(11), emu ERRNO(11), assembled again the same
xor 3, then jeq 6,next,22 of 5: \$A ^= 0x3
  kernel ERRNO(11), emu ERRNO(22), assembled again 24 00 00 00 03 00 00 00"
