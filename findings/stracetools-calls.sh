#!/usr/bin/env bash
# stracetools 1.0.0 (PyPI): what strace prints of wait4() and of some strings is taken apart wrongly, unsaid; calls
#   that return a descriptor are lost under strace -y.
# Expected (strace(1): name, arguments in parentheses, "=" and return value, strings in C's notation; -y: a descriptor's
#   path follows it in angle brackets; the README: strace -f -tt -T "and other options", every call in full): four
#   arguments and the child's number for wait4, three and the count for write, and both openat.
# Seen: a call ends at the first ")" that "=" follows, in an argument too, and a child's status always has that; a quote
#   after an escaped backslash does not end its string; of "= 3</dev/null>" only a line in Python's log is left.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv stracetools==1.0.0 plotly==7.1.0 numpy==2.4.6
deb strace 6.1
deb libunwind8 1.6
cat >traced.c <<'C'
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	siginfo_t info;
	int status;

	write(1, "f(1) == 2", 9);
	write(1, "C:\\", 3);
	write(1, "a, b", 4);
	if (fork() == 0)
		_exit(3);
	waitid(P_ALL, 0, &info, WEXITED | WNOWAIT); /* so that wait4 has nothing to wait for */
	wait(&status);
	open("/dev/null", O_RDONLY);
	open("/dev/null/none", O_RDONLY);
}
C
gcc -w -o traced traced.c
libraries=$(echo "$W"/root/usr/lib/*-linux-gnu)
for option in -T -y; do
	(cd / && LD_LIBRARY_PATH=$libraries "$W/root/usr/bin/strace" -f -tt $option -o "$W/trace$option" "$W/traced") >out
done
cat >t.py <<'P'
import logging, re
from stracetools import StraceParser

logging.disable()

def show(option, *wanted):
    events = {event.raw_line: event for event in StraceParser().parse_file(f"trace{option}")}
    with open(f"trace{option}") as file:
        lines = [line.strip() for line in file if any(text in line for text in wanted)]
    for line in lines:
        call = re.sub(r" <[\d.]+>$", "", line.split(maxsplit=2)[2])
        number = call.split(" = ")[-1] if call.startswith("wait4") else "CHILD"
        print(f"strace {option}: {call}".replace(number, "CHILD"))
        event = events.get(line)
        told = f"{event.name}, {event.args}, returned {event.return_value}" if event else "nothing"
        print(f"  stracetools: {told}".replace(number, "CHILD"))

show("-T", " write(", " wait4(")
show("-y", '"/dev/null')
P
expect "calls" "$("$W/venv/bin/python" t.py)" \
"strace -T: write(1, \"f(1) == 2\", 9) = 9
  stracetools: write, ['1', '\"f(1'], returned = 2\", 9) = 9
strace -T: write(1, \"C:\\\\\", 3) = 3
  stracetools: write, ['1', '\"C:\\\\\\\\\", 3'], returned 3
strace -T: write(1, \"a, b\", 4) = 4
  stracetools: write, ['1', '\"a, b\"', '4'], returned 4
strace -T: wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = CHILD
  stracetools: wait4, ['-1', '[{WIFEXITED(s) && WEXITSTATUS(s'], returned = 3}], 0, NULL) = CHILD
strace -y: openat(AT_FDCWD</>, \"/dev/null\", O_RDONLY) = 3</dev/null>
  stracetools: nothing
strace -y: openat(AT_FDCWD</>, \"/dev/null/none\", O_RDONLY) = -1 ENOTDIR (Not a directory)
  stracetools: openat, ['AT_FDCWD</>', '\"/dev/null/none\"', 'O_RDONLY'], returned -1"
