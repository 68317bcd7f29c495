#!/usr/bin/env bash
# fastipc 0.1.5 (PyPI): waiting for an event that is set says "not set", a mutex is not for threads, and a history
#   buffer's first message overwrites its metadata.
# Expected (the docstrings of NamedEvent.wait: True if the event was set, False if it timed out; of NamedMutex.acquire:
#   blocks until it is available; of NamedHistoryBuffer: metadata and payloads each have their place; the README: "in
#   threads or across processes", and `from fastipc import FutexWord, Mutex, Semaphore`): as threading's classes do it.
# Seen: wait() answers False both for a set event and for a timeout, since futex(2)'s EAGAIN is taken for a timeout; a
#   second thread is refused the mutex as if it had it, and may release it; get_meta() gives the first message's
#   length; the README's import fails.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv fastipc==0.1.5
cat >t.py <<'P'
import os, threading
from fastipc import NamedEvent, NamedMutex
from fastipc.data.named_history_buffer import NamedHistoryBuffer

NAME = f"finding{os.getpid()}"
MILLISECOND = 10**6

def in_thread(function):
    """Call it in another thread; print what it answers or raises."""
    def body():
        try:
            print("  fastipc, other thread:", function.__name__, function())
        except RuntimeError as error:
            print("  fastipc, other thread:", function.__name__, error)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()

ours, theirs = threading.Event(), NamedEvent(NAME)
print("not set: threading", ours.wait(0.001), "fastipc", theirs.wait(MILLISECOND))
ours.set()
theirs.set()
print("set: threading", ours.wait(0.001), "fastipc", theirs.wait(MILLISECOND), theirs.wait())

mutex = NamedMutex(NAME)
print("mutex acquired:", mutex.acquire())
in_thread(mutex.try_acquire)
in_thread(mutex.acquire)
in_thread(mutex.release)

buffer = NamedHistoryBuffer.create(NAME, num_slots=4, slot_size=64, meta="time,val")
try:
    print("metadata:", repr(buffer.get_meta()))
    buffer.publish(b"one")
    print("after a message:", repr(buffer.get_meta()))
finally:
    os.unlink(f"/dev/shm/__pyfastipc_history_buffer_{NAME}")

try:
    from fastipc import FutexWord, Mutex, Semaphore
    print("README's import succeeds")
except ImportError as error:
    print("README's import:", str(error).split(" from ")[0])
P
expect "shared" "$(FASTIPC_PID_DIR=$W/pids "$W/venv/bin/python" t.py)" \
"not set: threading False fastipc False
set: threading True fastipc False False
mutex acquired: True
  fastipc, other thread: try_acquire False
  fastipc, other thread: acquire cannot re-acquire a mutex already owned by this process
  fastipc, other thread: release None
metadata: 'time,val'
after a message: '\\x03\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
README's import: cannot import name 'FutexWord'"
