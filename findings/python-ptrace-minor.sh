#!/usr/bin/env bash
# python-ptrace 0.9.9 (PyPI): one mapping of a device with a large minor number, and no mapping is read.
# Expected (proc(5), "/proc/pid/maps": dev is major:minor in hexadecimal, at least two digits each; a
#   minor number has 20 bits since Linux 2.6, so up to five digits): a device like 00:1000, the
#   anonymous device of the 4097th mount of a busy container host.
# Seen: readProcessMappings() raises ProcessError for the whole process.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv python-ptrace==0.9.9
cat >t.py <<'P'
import io
from ptrace.debugger import memory_mapping

class Process:
    pid = 7

for device in ("00:2d", "08:fff", "00:1000", "fd:fffff"):
    line = f"7f0000000000-7f0000001000 r--p 00000000 {device} 1234                       /data\n"
    memory_mapping.openProc = lambda path, line=line: io.StringIO(line)
    process = Process()
    try:
        (mapping,) = memory_mapping.readProcessMappings(process)
        print(device, "minor", mapping.minor_device)
    except memory_mapping.ProcessError:
        print(device, "ProcessError")
P
expect "dev" "$("$W/venv/bin/python" t.py)" \
"00:2d minor 45
08:fff minor 4095
00:1000 ProcessError
fd:fffff ProcessError"
