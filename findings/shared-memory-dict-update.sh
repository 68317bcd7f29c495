#!/usr/bin/env bash
# shared-memory-dict 0.7.2 (PyPI): after `d |= other` d is no longer shared, unsaid.
# Expected (Python data model, "__ior__": the method should do the operation in place and return the result, which is
#   self; the package: `|=` is one of its methods): what `d.update(other)` does.
# Seen: it writes to the shared memory and then returns a plain dict, which takes the name's place. All that is stored
#   later stays in this process, and what others store is not seen.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv shared-memory-dict==0.7.2
cat >t.py <<'P'
import os
from shared_memory_dict import SharedMemoryDict

mine, other = (SharedMemoryDict(name=f"finding{os.getpid()}", size=1024) for _ in "12")

def show(when):
    print(f"{when}: mine is a {type(mine).__name__} {mine}, the other has {dict(other)}")

mine.update({"a": 1})
show("after update()")
mine |= {"b": 2}
show("after |=")
mine["c"] = 3
other["d"] = 4
show("after one more on each side")
other.shm.unlink()
P
expect "dict" "$("$W/venv/bin/python" t.py)" \
"after update(): mine is a SharedMemoryDict {'a': 1}, the other has {'a': 1}
after |=: mine is a dict {'a': 1, 'b': 2}, the other has {'a': 1, 'b': 2}
after one more on each side: mine is a dict {'a': 1, 'b': 2, 'c': 3}, the other has {'a': 1, 'b': 2, 'd': 4}"
