#!/usr/bin/env bash
# pycbpf 0.0.2 (PyPI): the C that it makes of a packet filter never lets a packet with TCP's SYN through when asked for
#   it, and "or" is no C.
# Expected (pcap-filter(7): tcp[tcpflags] & tcp-syn != 0 are the packets with SYN; Linux's
#   Documentation/networking/filter.rst: jset jumps to jt if A & k is not 0, else to jf): what the kernel answers that
#   runs the same instructions, which libpcap compiled.
# Seen: a jset that only jumps where it fails becomes `if (A | k)`, which always jumps; OR becomes `A None= k`. The
#   same mask the other way round, where jset jumps if it succeeds, is right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv pycbpf==0.0.2 libpcap==1.11.0b29
sed -i 's/^LIBPCAP = None/LIBPCAP = tcpdump/' venv/lib/python3*/site-packages/libpcap/libpcap.cfg # its own libpcap
cat >filter.c <<'C'
/* filter PACKET: print what the filter in made.h answers to this packet (hexadecimal). */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
#define bpf_ntohs ntohs
#define bpf_ntohl ntohl
#include "made.h"

int main(int argc, char **argv)
{
	static u8 packet[2048];
	size_t length = strlen(argv[1]) / 2;

	for (size_t i = 0; i < length; i++)
		sscanf(argv[1] + 2 * i, "%2hhx", packet + i);
	printf("%u", cbpf_filter_func(packet, packet + length));
}
C
cat >t.py <<'P'
import ctypes, socket, struct, subprocess
from pycbpf.cbpf2c import CbpfC
from pycbpf.filter2cbpf import CbpfProg

SO_ATTACH_FILTER = 26
SYN, ACK = 2, 16

def packet(flags):
    tcp = struct.pack("!HHIIBBHHH", 1024, 80, 1, 1, 0x50, flags, 100, 0, 0)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, 0x0A000001, 0x0A000002)
    return bytes(12) + b"\x08\0" + ip + tcp

def kernel(instructions, sent):
    """Whether a socket with this filter receives it."""
    code = b"".join(struct.pack("HBBI", i.code, i.jt, i.jf, i.k) for i in instructions)
    memory = ctypes.create_string_buffer(code)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER,
            struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(memory)),
        )
        theirs.setblocking(False)
        ours.send(sent)
        try:
            return theirs.recv(len(sent)) == sent
        except BlockingIOError:
            return False

for text in (
    "tcp dst port 80",
    "tcp[tcpflags] & tcp-syn != 0",
    "tcp[tcpflags] & tcp-syn = 0",
    "ip[8] | 1 = 65",
):
    program = CbpfProg([text])
    made = CbpfC(program).compile_cbpf_to_c()
    with open("made.h", "w") as file:
        file.write(made)
    compiled = subprocess.run(["gcc", "-w", "-o", "filter", "filter.c"], capture_output=True)
    print(text)
    for line in made.splitlines():
        if " | " in line or "None" in line:
            print("  made:", line.strip())
    for name, sent in ("SYN", packet(SYN)), ("ACK", packet(ACK)):
        answer = "does not compile"
        if compiled.returncode == 0:
            answer = subprocess.check_output(["./filter", sent.hex()], text=True) != "0"
        print(f"  {name}: kernel {kernel(program.ins, sent)}, pycbpf {answer}")
P
expect "filter" "$("$W/venv/bin/python" t.py)" \
"tcp dst port 80
  SYN: kernel True, pycbpf True
  ACK: kernel True, pycbpf True
tcp[tcpflags] & tcp-syn != 0
  made: if (A | 0x2) {goto label10;}
  SYN: kernel True, pycbpf False
  ACK: kernel False, pycbpf False
tcp[tcpflags] & tcp-syn = 0
  SYN: kernel False, pycbpf False
  ACK: kernel True, pycbpf True
ip[8] | 1 = 65
  made: A None= 0x1;
  SYN: kernel True, pycbpf does not compile
  ACK: kernel True, pycbpf does not compile"
