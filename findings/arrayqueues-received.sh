#!/usr/bin/env bash
# arrayqueues 1.4.1 (PyPI): a received array changes when the sender goes on, an array of another shape overwrites those
#   that wait, and reading one of a full queue makes no room.
# Expected (its README: "a drop-in replacement for the Python multiprocessing Queue" that "handles transport of large
#   numpy arrays"; an array of another shape "resets the queue"): what Python's Queue does; and after a reset the array
#   that came last, alone.
# Seen: get() answers a view of the shared memory, whose place is at once free for the next array: [1 1 1 1] becomes
#   [5 5 5 5] in the reader's hands. After "the reset" three arrays wait as before, the first with the last one's
#   numbers. A queue for four arrays that holds three refuses one more, since "read up to 0" is also how it starts.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv arrayqueues==1.4.1 numpy==1.26.4
cat >t.py <<'P'
import time
from multiprocessing import Queue
from queue import Full
import numpy as np
from arrayqueues.shared_arrays import ArrayQueue

ROOM = 4  # arrays

def array(value, shape=(4,)):
    return np.full(shape, value, dtype=np.int32)

def settle():
    time.sleep(0.2)  # both kinds hand over in threads

def pair():
    return Queue(ROOM), ArrayQueue(ROOM * array(0).nbytes / 1e6)

for queue in pair():
    name = type(queue).__name__
    queue.put(array(1))
    received = queue.get(timeout=5)
    print(name, "received:", received)
    for value in (2, 3, 4, 5):
        queue.put(array(value))
        queue.get(timeout=5)
        settle()
    print(name, "the same after four more:", received)

for queue in pair():
    name = type(queue).__name__
    for value in (1, 2):
        queue.put(array(value))
    queue.put(array(7, (2, 2)))
    settle()
    waiting = queue.qsize()
    print(name, waiting, "wait after another shape:", *[queue.get(timeout=5).tolist() for _ in range(waiting)])

for queue in pair():
    name = type(queue).__name__
    for value in range(ROOM):
        queue.put(array(value))
    queue.get(timeout=5)
    settle()
    try:
        queue.put(array(9), **({"timeout": 5} if name == "Queue" else {}))
        print(name, "filled, one read, one more: accepted")
    except Full:
        print(name, "filled, one read, one more: refused, it has", queue.qsize())
P
expect "queue" "$("$W/venv/bin/python" t.py)" \
"Queue received: [1 1 1 1]
Queue the same after four more: [1 1 1 1]
ArrayQueue received: [1 1 1 1]
ArrayQueue the same after four more: [5 5 5 5]
Queue 3 wait after another shape: [1, 1, 1, 1] [2, 2, 2, 2] [[7, 7], [7, 7]]
ArrayQueue 3 wait after another shape: [7, 7, 7, 7] [2, 2, 2, 2] [[7, 7], [7, 7]]
Queue filled, one read, one more: accepted
ArrayQueue filled, one read, one more: refused, it has 3"
