#!/usr/bin/env bash
# flametrace 1.1.1, strace-parser 0.2.0 (PyPI): a trace in which a process was killed, or has a child that ended, cannot
#   be read.
# Expected (strace(1): a signal is a line between "---", a process's end "+++ exited with 0 +++" or "+++ killed by
#   SIGKILL +++"; flametrace's help: "run a command and render a flamegraph based on its process tree", with strace -f
#   -ttt -T; strace-parser's README: strace -xx -ttt -ff): all lines of the trace.
# Seen: flametrace knows SIGTERM and SIGPIPE by name, and raises a ValueError at others, when the command has run and
#   before there is a chart. strace-parser knows no signals, so that SIGCHLD of a child that ended well stops it.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv flametrace==1.1.1 strace-parser==0.2.0 lark-parser==0.12.0
deb strace 6.1
deb libunwind8 1.6.2
cat >t.c <<'C'
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child ends by each signal that is named; 0 is exit(). */
int main(int argc, char **argv)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	for (int i = 1; i < argc; i++) {
		if (fork() == 0)
			return raise(atoi(argv[i]));
		wait(NULL);
	}
	return 0;
}
C
gcc -o traced t.c
cat >t.py <<'P'
import sys
from flametrace.core import StraceParser
from strace_parser.json_transformer import to_json
from strace_parser.parser import get_parser

def flametrace(file):
    return list(StraceParser().parse(file))

def strace_parser(file):
    return to_json(get_parser().parse(file.read()))

tool, name = sys.argv[1:]
try:
    with open(name) as file:
        print("reads it" if {"flametrace": flametrace, "strace-parser": strace_parser}[tool](file) else "finds nothing")
except Exception as error:
    print(type(error).__name__)
P
strace() { LD_LIBRARY_PATH=$(echo "$W"/root/usr/lib/*-linux-gnu) "$W/root/usr/bin/strace" "$@"; }
answer() { "$W/venv/bin/python" t.py "$1" "$2"; }
for signals in "" 0 15 13 9 11 14; do
	strace -f -ttt -T -o all ./traced $signals
	strace -xx -ttt -o own ./traced $signals
	echo "children that end by ${signals:-nothing}: flametrace $(answer flametrace all)," \
		"strace-parser $(answer strace-parser own)"
done >answers
expect "trace" "$(cat answers)" \
"children that end by nothing: flametrace reads it, strace-parser reads it
children that end by 0: flametrace reads it, strace-parser UnexpectedCharacters
children that end by 15: flametrace reads it, strace-parser UnexpectedCharacters
children that end by 13: flametrace reads it, strace-parser UnexpectedCharacters
children that end by 9: flametrace ValueError, strace-parser UnexpectedCharacters
children that end by 11: flametrace ValueError, strace-parser UnexpectedCharacters
children that end by 14: flametrace ValueError, strace-parser UnexpectedCharacters"
