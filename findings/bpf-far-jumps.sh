#!/usr/bin/env bash
# bpf_asm 0.1.5 (PyPI), bpfc of netsniff-ng 0.6.8 (Debian 12): a packet filter's jump that is too far goes elsewhere,
#   unsaid.
# Expected (bpf_asm's README: "Based on the BPF assembler in Linux sources", whose tools/bpf/bpf_exp.y ends, since
#   Linux 5.12, with "jumps to insn, which is out of range"; linux/filter.h: a conditional jump has 8 bits): an error, or a program that does what it says.
# Seen: a label 300 instructions on is 255 in bpf_asm and 300 modulo 256 in bpfc. Attached to a socket, these filters drop what their text accepts; with a JA between, which has 32 bits, the first
#   does not.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv bpf_asm==0.1.5
deb netsniff-ng 0.6.8-
cat >t.py <<'P'
import socket
import struct
import subprocess
import sys
from ctypes import addressof, create_string_buffer
import bpf_asm as package

SO_ATTACH_FILTER = 26

def bpf_asm(text):
    return package.assemble(text)

def bpfc(text):
    with open("filter", "w") as file:
        file.write(text)
    answer = subprocess.run([sys.argv[1], "-i", "filter"], capture_output=True, text=True, check=True)
    return [tuple(int(field, 0) for field in line.strip("{ },").split(",")) for line in answer.stdout.splitlines()]

def verdict(program, packet):
    """What Linux does with the packet under this filter."""
    code = create_string_buffer(b"".join(struct.pack("<HBBI", *instruction) for instruction in program))
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with writer, reader:
        reader.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), addressof(code)))
        try:
            writer.send(packet)
            return "accepted" if reader.recv(100) == packet else "cut"
        except (BlockingIOError, PermissionError):
            return "dropped"

def text(jump, distance):
    """Accept packets of 4 bytes, over a jump of this distance."""
    between = "add #0\n" * (distance - 2)
    return f"ld #len\n{jump}next: add #0\n{between}ret #0\naccept: ret #0xffff\n"

NEAR, WITH_JA = "jeq #4, accept\n", "jne #4, next\nja accept\n"
for assembler, name, jump, distance in (
    (bpf_asm, "near", NEAR, 3),
    (bpfc, "near", NEAR, 3),
    (bpf_asm, "far", NEAR, 300),
    (bpfc, "far", NEAR, 300),
    (bpf_asm, "far, with a JA", WITH_JA, 300),
    (bpfc, "far, with a JA", WITH_JA, 300),
):
    program = assembler(text(jump, distance))
    verdicts = ", ".join(f"{len(packet)} bytes are {verdict(program, packet)}" for packet in (b"four", b"three"))
    print(f"{assembler.__name__}, {name}: jt={program[1][1]}, {verdicts}")
P
expect "filter" "$("$W/venv/bin/python" t.py "$W/root/usr/sbin/bpfc")" \
"bpf_asm, near: jt=3, 4 bytes are accepted, 5 bytes are dropped
bpfc, near: jt=3, 4 bytes are accepted, 5 bytes are dropped
bpf_asm, far: jt=255, 4 bytes are dropped, 5 bytes are dropped
bpfc, far: jt=44, 4 bytes are dropped, 5 bytes are dropped
bpf_asm, far, with a JA: jt=0, 4 bytes are accepted, 5 bytes are dropped
bpfc, far, with a JA: jt=0, 4 bytes are accepted, 5 bytes are dropped"
