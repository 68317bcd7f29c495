#!/usr/bin/env bash
# rememory 0.3.4 (PyPI), a list in shared memory: pop, remove, extend, clear, sort and "in" work on a copy of what was
#   there when the object was made; when the list outgrows its segment every process goes on with a list of its own.
# Expected (the README: "Drop-in replacements for ... Dict and List", "any process using the same name sees these
#   changes"; the docstring: "A true shared-memory list"): what a list does after the same calls; both objects of a name
#   have the same items.
# Seen: what collections.UserList inherits is not overridden, unsaid; the new segment gets the name of the old one, which
#   others keep mapped and go on writing to.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv rememory==0.3.4 posix-ipc==1.3.2
cat >t.py <<'P'
import os
from rememory import RememoryList

NAME = f"finding{os.getpid()}"
CALLS = {
    "append(4)": lambda items: items.append(4),
    "pop()": lambda items: items.pop(),
    "remove(1)": lambda items: items.remove(1),
    "extend([4])": lambda items: items.extend([4]),
    "clear()": lambda items: items.clear(),
    "reverse()": lambda items: items.reverse(),
    "4 in": lambda items: 4 in items,
    "count(1)": lambda items: items.count(1),
}

def shared(size=65536):
    return RememoryList(NAME, size)

def answer(call, items):
    try:
        return call(items)
    except (IndexError, ValueError) as error:
        return type(error).__name__

def remove():
    os.unlink(f"/dev/shm/{NAME}")

for text, call in CALLS.items():
    plain, items = [3, 1], shared()
    for item in plain:
        items.append(item)
    if text == "4 in":
        plain.append(4)
        items.append(4)
    answers = answer(call, plain), answer(call, items)
    print(f"{text}: list {answers[0]} {plain}, RememoryList {answers[1]} {list(shared())}")
    remove()

ours = shared(64)
theirs = shared(64)
ours.append("one")
print("before:", list(ours), list(theirs))
ours.append("two" * 20)
theirs.append("three")
print("after:", [item[:5] for item in ours], list(theirs))
remove()
os.unlink(f"/dev/shm/sem.rememorydict_{NAME}")
P
expect "list" "$("$W/venv/bin/python" t.py 2>/dev/null)" \
"append(4): list None [3, 1, 4], RememoryList None [3, 1, 4]
pop(): list 1 [3], RememoryList IndexError [3, 1]
remove(1): list None [3], RememoryList ValueError [3, 1]
extend([4]): list None [3, 1, 4], RememoryList None [3, 1]
clear(): list None [], RememoryList None [3, 1]
reverse(): list None [1, 3], RememoryList None [3, 1]
4 in: list True [3, 1, 4], RememoryList False [3, 1, 4]
count(1): list 1 [3, 1], RememoryList 0 [3, 1]
before: ['one'] ['one']
after: ['one', 'twotw'] ['one', 'three']"
