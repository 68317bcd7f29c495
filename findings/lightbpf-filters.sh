#!/usr/bin/env bash
# LightBPF 1.1.0 (PyPI): "ip" and a port let nothing through, in the README's own example too; "tcp or udp" refuses TCP
#   over IPv6, "arp host" ARP; of a program that answers with its accumulator the answer is 0.
# Expected (pcap-filter(7); the README: IPv4 and IPv6, the example `ip and (port 80 or port 443)`; Linux's
#   Documentation/networking/filter.rst: ret a answers with the accumulator): what the kernel lets through with
#   libpcap's instructions for the same text, and what it answers to the same instructions.
# Seen: the port is looked for behind a header whose length was never loaded; the first protocol's success in IPv6 falls
#   into the test of the second; "arp host" tests IPv4; 0x16 is shown and emulated as `ret #0`. As installed it cannot
#   be imported: it looks for itself in a package LightPacket, which the script makes up.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv LightBPF==1.1.0 libpcap==1.11.0b29
sed -i 's/^LIBPCAP = None/LIBPCAP = tcpdump/' venv/lib/python3*/site-packages/libpcap/libpcap.cfg # its own libpcap
cat >t.py <<'P'
import ctypes, os, socket, struct, sys, types
import libpcap, LightBPF

try:
    from LightBPF.CompilerSet.Compiler import BpfCompiler
    print("the README's import succeeds")
except ModuleNotFoundError as error:
    print("the README's import:", error)

parent = sys.modules["LightPacket"] = types.ModuleType("LightPacket")
parent.__path__ = [os.path.dirname(LightBPF.__path__[0])]
from LightPacket.LightBPF.CompilerSet.Compiler import BpfCompiler
from LightPacket.LightBPF.CompilerSet.Disassembler import disassemble
from LightPacket.LightBPF.CompilerSet.Emulator import BpfEmulator
from LightPacket.LightBPF.CompilerSet.Instruction import Instruction

SO_ATTACH_FILTER = 26
TCP = struct.pack("!HHIIBBHHH", 1024, 80, 1, 1, 0x50, 2, 100, 0, 0)
IPV4 = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
IPV6 = struct.pack("!IHBB16s16s", 6 << 28, 20, 6, 64, b"\xfe" + bytes(15), b"\xfe" + bytes(15))
ARP = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, bytes(6), b"\x0a\0\0\1", bytes(6), b"\x0a\0\0\2")
PACKETS = {
    "TCP over IPv4": bytes(12) + b"\x08\x00" + IPV4 + TCP,
    "TCP over IPv6": bytes(12) + b"\x86\xdd" + IPV6 + TCP,
    "ARP": bytes(12) + b"\x08\x06" + ARP,
}

def compiled_by_libpcap(text):
    device = libpcap.open_dead(libpcap.DLT_EN10MB, 65535)
    program = libpcap.bpf_program()
    libpcap.compile(device, ctypes.byref(program), text.encode(), 1, libpcap.PCAP_NETMASK_UNKNOWN)
    return [Instruction(i.code, i.jt, i.jf, i.k) for i in program.bf_insns[: program.bf_len]]

def kernel(instructions, sent):
    """How many bytes of it a socket with this filter receives."""
    code = b"".join(instruction.to_bytes() for instruction in instructions)
    memory = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(memory))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        theirs.setblocking(False)
        ours.send(sent)
        try:
            return len(theirs.recv(len(sent)))
        except BlockingIOError:
            return 0

for text in (
    "port 80",
    "ip and port 80",
    "ip and (port 80 or port 443)",
    "tcp",
    "tcp or udp",
    "arp host 10.0.0.1",
):
    for whose, program in ("libpcap's", compiled_by_libpcap(text)), ("LightBPF's", BpfCompiler.compile_str(text)):
        passed = [name for name, packet in PACKETS.items() if kernel(program, packet)]
        print(f"{text}: with {whose} instructions the kernel passes {', '.join(passed) or 'nothing'}")

program = [Instruction(0x80, 0, 0, 0), Instruction(0x16, 0, 0, 0)]
print("ld #len; ret a: kernel", kernel(program, b"packet"), "LightBPF", BpfEmulator.execute(program, b"packet"))
print(disassemble(program))
P
expect "filter" "$("$W/venv/bin/python" t.py)" \
"the README's import: No module named 'LightPacket'
port 80: with libpcap's instructions the kernel passes TCP over IPv4, TCP over IPv6
port 80: with LightBPF's instructions the kernel passes TCP over IPv4, TCP over IPv6
ip and port 80: with libpcap's instructions the kernel passes TCP over IPv4
ip and port 80: with LightBPF's instructions the kernel passes nothing
ip and (port 80 or port 443): with libpcap's instructions the kernel passes TCP over IPv4
ip and (port 80 or port 443): with LightBPF's instructions the kernel passes nothing
tcp: with libpcap's instructions the kernel passes TCP over IPv4, TCP over IPv6
tcp: with LightBPF's instructions the kernel passes TCP over IPv4, TCP over IPv6
tcp or udp: with libpcap's instructions the kernel passes TCP over IPv4, TCP over IPv6
tcp or udp: with LightBPF's instructions the kernel passes TCP over IPv4
arp host 10.0.0.1: with libpcap's instructions the kernel passes ARP
arp host 10.0.0.1: with LightBPF's instructions the kernel passes TCP over IPv4
ld #len; ret a: kernel 6 LightBPF 0
(000) ld   #len
(001) ret   #0x0"
