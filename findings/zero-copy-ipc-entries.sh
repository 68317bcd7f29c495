#!/usr/bin/env bash
# zero_copy_ipc 1.0.1 (PyPI), a dictionary in shared memory: an entry that grows overwrites another, whose key is gone,
#   and then no keys can be listed.
# Expected (the docstrings: a dictionary, "In-place updates for variable-length data", allocate(): "Offset in heap where
#   data can be written"): what a dict says after the same calls.
# Seen: a freed block is taken again by what belongs to the same class, up to 64 bytes, however long the block is: the
#   new value runs over the next entry, and keys() and items() raise UnpicklingError.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv zero_copy_ipc==1.0.1
cat >t.py <<'P'
import os
from zero_copy_ipc import ZeroCopyDict

def show(name, entries):
    for key in "first", "second", "third":
        print(f"{name}: {key}: {entries.get(key)!r}, {key in entries}")
    try:
        print(f"{name}: {len(entries)} entries, {sorted(entries.keys())}")
    except Exception as error:
        print(f"{name}: {len(entries)} entries, {type(error).__name__}")

def use(entries):
    entries["first"] = "short"
    entries["second"] = 2
    entries["third"] = 3
    entries["first"] = "a value that is longer than that"
    return entries

show("dict", use({}))
shared = ZeroCopyDict.create(f"finding{os.getpid()}", max_items=16, heap_size=1 << 20)
try:
    show("shared", use(shared))
finally:
    shared.close()
P
expect "entries" "$("$W/venv/bin/python" t.py)" \
"dict: first: 'a value that is longer than that', True
dict: second: 2, True
dict: third: 3, True
dict: 3 entries, ['first', 'second', 'third']
shared: first: 'a value that is longer than that', True
shared: second: None, False
shared: third: 3, True
shared: 3 entries, UnpicklingError"
