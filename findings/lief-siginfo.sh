#!/usr/bin/env bash
# LIEF 1.0.0 (PyPI): of the signal that a core file tells of, code and error number are exchanged.
# Expected (core(5) by way of Linux's fs/binfmt_elf.c: NT_SIGINFO holds the siginfo_t of sigaction(2), whose order
#   on x86-64 is si_signo, si_errno, si_code, as <signal.h> has it; only pr_info of NT_PRSTATUS, elf_siginfo in
#   <sys/procfs.h>, has the code before the error number): si_code 1, SEGV_MAPERR.
# Seen: the order of NT_PRSTATUS in NT_SIGINFO: sigcode 0, which is SI_USER, somebody's kill(), for every
#   access to memory that is not mapped, and sigerrno 1. pr_info itself is read right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv lief==1.0.0
cat >siginfo.c <<'C'
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/procfs.h>

int main(void)
{
	printf("siginfo_t: si_errno at %zu, si_code at %zu\n", offsetof(siginfo_t, si_errno),
	       offsetof(siginfo_t, si_code));
	printf("elf_siginfo: si_errno at %zu, si_code at %zu\n",
	       offsetof(struct elf_siginfo, si_errno), offsetof(struct elf_siginfo, si_code));
}
C
gcc -o siginfo siginfo.c
expect "headers" "$(./siginfo)" \
"siginfo_t: si_errno at 4, si_code at 8
elf_siginfo: si_errno at 8, si_code at 4"
cat >t.py <<'P'
import core, lief, struct

SIGSEGV, SEGV_MAPERR, NT_SIGINFO = 11, 1, 0x53494749
for errno in (0, 5):
    siginfo = struct.pack("<iii4xQ104x", SIGSEGV, errno, SEGV_MAPERR, 0x1234)
    core.write("t.core", core.nt_prstatus(7) + core.note("CORE", NT_SIGINFO, siginfo), [])
    binary = lief.ELF.parse("t.core")
    for note in binary.notes:
        if isinstance(note, lief.ELF.CoreSigInfo):
            print(f"si_errno {errno}, si_code 1: sigerrno {note.sigerrno}, sigcode {note.sigcode}")
P
expect "lief" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"si_errno 0, si_code 1: sigerrno 1, sigcode 0
si_errno 5, si_code 1: sigerrno 1, sigcode 5"
