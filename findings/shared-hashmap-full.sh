#!/usr/bin/env bash
# shared-hashmap 0.2.0 (PyPI): a table in shared memory is full when all its keys were deleted, or with 56 keys in 64
#   buckets; then even asking for what is not there raises an error. True cannot be read back.
# Expected (the README: "Open addressing: Linear probing", "Familiar Python dictionary API"; get(): "Default value to
#   return if key not found"): a table with free buckets takes a key, what is not there is the default, a value comes
#   back as it was set.
# Seen: a deleted bucket never becomes empty, and a search that meets none that is empty raises "Hash table is full";
#   it looks i + i*i further on, which are 32 of the 64; True is kept as an integer's text.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv shared-hashmap==0.2.0 atomics==1.0.3
cat >t.py <<'P'
import os
from shared_hashmap import SharedHashMap

def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def in_table(function, capacity):
    entries = SharedHashMap(f"finding{os.getpid()}", capacity=capacity)
    try:
        function(entries, capacity)
    finally:
        entries.unlink()

def emptied(entries, capacity):
    """Set a key and delete it, one after the other."""
    for number in range(10 * capacity):
        error = attempt(entries.set, f"key {number}", number)
        if error:
            break
        entries.delete(f"key {number}")
    print(f"{capacity} buckets, {entries.size()} in use, {number} were: set {error}")
    print(f"{capacity} buckets, {entries.size()} in use: get", attempt(entries.get, "none", "default"))

def filled(entries, capacity):
    for number in range(capacity):
        error = attempt(entries.set, str(number**3), number)
        if error:
            break
    print(f"{capacity} buckets, {entries.size()} in use: set {error}")

def values(entries, capacity):
    for value in 1, 1.5, "text", None, True:
        entries.set("key", value)
        print(f"{value!r} comes back as", attempt(lambda: repr(entries.get("key"))))

in_table(emptied, 16)
in_table(emptied, 1024)
in_table(filled, 64)
in_table(values, 16)
P
expect "table" "$("$W/venv/bin/python" t.py 2>/dev/null)" \
"16 buckets, 0 in use, 18 were: set RuntimeError: Hash table is full
16 buckets, 0 in use: get RuntimeError: Hash table is full
1024 buckets, 0 in use, 6528 were: set RuntimeError: Hash table is full
1024 buckets, 0 in use: get RuntimeError: Hash table is full
64 buckets, 56 in use: set RuntimeError: Hash table is full
1 comes back as 1
1.5 comes back as 1.5
'text' comes back as 'text'
None comes back as None
True comes back as ValueError: invalid literal for int() with base 10: 'True'"
