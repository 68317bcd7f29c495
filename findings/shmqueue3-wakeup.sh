#!/usr/bin/env bash
# shmqueue3 0.9.1 (PyPI): of two readers that wait one sleeps on while an element is there for it.
# Expected (Python library, multiprocessing.Queue: get() waits at most timeout seconds if necessary until an item is
#   available; threading.Condition: one notify() wakes one): two elements that are put wake two readers.
# Seen: put() notifies only when the queue was empty, so that of two elements that come together the second wakes
#   nobody. Its reader finds it when its timeout is over; without a timeout it would not. The pool's free() and
#   take()'s notice to writers are made in the same way.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv shmqueue3==0.9.1 numpy==1.26.4
cat >t.py <<'P'
import multiprocessing
import time
from queue import Empty
from shmqueue3.shmqueue3 import ShmElem, ShmPool, ShmQueue

TIMEOUT, READERS = 6, 2

def fill_plain(queue):
    for value in range(READERS):
        queue.put(value)

def read_plain(queue):
    try:
        return queue.get(timeout=TIMEOUT) is not None
    except Empty:
        return False

def fill_shared(queue):
    with queue.state.get_lock():  # no reader comes between
        for _ in range(READERS):
            queue.put(queue.pool.allocate())

def read_shared(queue):
    return queue.take(ShmElem(), timeout=TIMEOUT) is not None

def reader(read, queue, answers):
    start = time.monotonic()
    found = read(queue)
    waited = time.monotonic() - start
    when = "at once" if waited < TIMEOUT - 0.5 else "at the timeout's end"
    answers.put(f"an element {when}" if found else "none")

def show(name, queue, fill, read):
    answers = multiprocessing.Queue()
    readers = [multiprocessing.Process(target=reader, args=(read, queue, answers)) for _ in range(READERS)]
    for process in readers:
        process.start()
    time.sleep(2)  # both wait
    fill(queue)
    print(name, "answered:", ", ".join(sorted(answers.get() for _ in readers)))

show("Queue", multiprocessing.Queue(), fill_plain, read_plain)
show("ShmQueue", ShmQueue(ShmPool(elem_size=8, size=4)), fill_shared, read_shared)
P
expect "queue" "$("$W/venv/bin/python" t.py)" \
"Queue answered: an element at once, an element at once
ShmQueue answered: an element at once, an element at the timeout's end"
