#!/usr/bin/env bash
# minidump-analyzer 0.1.0 (PyPI): threads, system and module names of a minidump are taken from the wrong places, unsaid.
# Expected (Microsoft's minidumpapiset.h: MINIDUMP_THREAD has 48 bytes, the last eight of them the size and place of the
#   thread's context; in MINIDUMP_SYSTEM_INFO MajorVersion is at byte 8; MINIDUMP_STRING begins with its length; CONTEXT
#   of x64 begins with six P1Home and has ContextFlags at byte 48): what minidump 0.0.24 finds in the same file.
# Seen: a thread is taken to have 28 bytes, so that of three only the first has its number, and none its registers (a
#   context below 3000 bytes is not looked at); the version is read two bytes late; every module's name is the number of
#   its bytes, as one character. The README shows names, versions and 42 threads.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv minidump-analyzer==0.1.0 minidump==0.0.24
cat >t.py <<'P'
import logging, struct
from minidump.minidumpfile import MinidumpFile
from minidump_analyzer.parser import MiniDumpParser

THREAD_LIST, MODULE_LIST, SYSTEM_INFO, MEMORY64_LIST = 3, 4, 7, 9
CONTEXT_AMD64_FULL, STACK = 0x10000B, 0x7000
THREADS = ((101, 0x1111), (102, 0x2222), (103, 0x3333))  # number and RIP of each
MODULES = (("prog.exe", 0x140000000), ("ntdll.dll", 0x7FF800000000))

class Body:
    """What stands behind the directory; add() answers where."""
    def __init__(self, start):
        self.start, self.bytes = start, b""
    def add(self, content):
        self.bytes += content
        return self.start + len(self.bytes) - len(content)

def context(rip):
    """A CONTEXT of x64, 1232 bytes, with RSP and RIP."""
    content = bytearray(1232)
    struct.pack_into("<I", content, 0x30, CONTEXT_AMD64_FULL)
    struct.pack_into("<Q", content, 0x98, STACK)
    struct.pack_into("<Q", content, 0xF8, rip)
    return bytes(content)

def text(string):
    """A MINIDUMP_STRING."""
    encoded = string.encode("utf-16-le")
    return struct.pack("<I", len(encoded)) + encoded + b"\0\0"

body = Body(32 + 4 * 12)
threads, modules = struct.pack("<I", len(THREADS)), struct.pack("<I", len(MODULES))
for number, rip in THREADS:
    threads += struct.pack("<4IQQ4I", number, 0, 32, 8, 0, STACK, 0, 0, 1232, body.add(context(rip)))
for name, base in MODULES:
    modules += struct.pack("<Q4I84x", base, 0x1000, 0, 0, body.add(text(name)))
system = struct.pack("<3H2B5I2H24x", 9, 6, 0, 4, 1, 10, 0, 19041, 2, body.add(text("")), 0, 0)
streams = {THREAD_LIST: threads, MODULE_LIST: modules, SYSTEM_INFO: system}
places = {kind: body.add(content) for kind, content in streams.items()}
places[MEMORY64_LIST] = body.start + len(body.bytes)
streams[MEMORY64_LIST] = struct.pack("<QQQQ", 1, places[MEMORY64_LIST] + 32, STACK, 4096)
body.add(streams[MEMORY64_LIST])
directory = b"".join(struct.pack("<3I", kind, len(streams[kind]), places[kind]) for kind in streams)
with open("t.dmp", "wb") as file:
    file.write(struct.pack("<4sIIIIIQ", b"MDMP", 0xA793, len(streams), 32, 0, 0, 2))
    file.write(directory + body.bytes + bytes(4096))

def show(name, system, threads, modules):
    print(name, "Windows", system)
    print(name, "threads", *threads)
    print(name, "modules", *modules)

logging.disable()  # of a dump without a PEB
first = MinidumpFile.parse("t.dmp")
info = first.sysinfo
show("minidump", f"{info.MajorVersion}.{info.MinorVersion}.{info.BuildNumber}",
     [f"{thread.ThreadId}:{thread.ContextObject.Rip:x}" for thread in first.threads.threads],
     [module.name for module in first.modules.modules])
with MiniDumpParser("t.dmp") as second:
    show("minidump-analyzer", second.get_system_info().os_version,
         [f"{thread.thread_id}:{thread.rip:x}" for thread in second.get_threads()],
         [repr(module.module_name) for module in second.get_modules()])
P
expect "dump" "$("$W/venv/bin/python" t.py)" \
"minidump Windows 10.0.19041
minidump threads 101:1111 102:2222 103:3333
minidump modules prog.exe ntdll.dll
minidump-analyzer Windows 0.1247870976.131072
minidump-analyzer threads 101:0 0:0 32:0
minidump-analyzer modules '\\x10' '\\x12'"
