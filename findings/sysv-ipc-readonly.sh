#!/usr/bin/env bash
# sysv_ipc 1.2.0 (PyPI): a segment attached read-only offers itself as a writable buffer.
# Expected (Python's C API, "Buffer Protocol": a consumer that asks for a writable buffer of read-only
#   memory gets an error, and the field readonly tells; shmat(2), SHM_RDONLY): memoryview(segment)
#   has readonly True, as its write() already refuses with an OSError.
# Seen: readonly is False, and everything that wants to write takes the object.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv sysv_ipc==1.2.0
cat >t.py <<'P'
import ctypes, mmap
import sysv_ipc

segment = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=4096)
try:
    reader = sysv_ipc.attach(segment.id, None, sysv_ipc.SHM_RDONLY)
    try:
        reader.write(b"x")
    except OSError as error:
        print("write():", error)
    print("memoryview(reader).readonly:", memoryview(reader).readonly)
    print("from_buffer takes it:", bool(ctypes.c_char.from_buffer(reader)))
finally:
    segment.remove()
print("mmap of Python, ACCESS_READ:", memoryview(mmap.mmap(-1, 4096, access=mmap.ACCESS_READ)).readonly)
P
expect "sysv_ipc" "$("$W/venv/bin/python" t.py)" \
"write(): Write attempt on read-only memory segment
memoryview(reader).readonly: False
from_buffer takes it: True
mmap of Python, ACCESS_READ: True"
