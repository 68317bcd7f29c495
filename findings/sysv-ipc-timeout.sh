#!/usr/bin/env bash
# sysv_ipc 1.2.0 (PyPI, the wheel for Linux): a semaphore's timeout is ignored.
# Expected (its README: acquire(timeout) "raises a BusyError" when the time is up where semtimedop() is
#   supported, which SEMAPHORE_TIMEOUT_SUPPORTED tells; semop(2): Linux has semtimedop() since 2.5.52,
#   glibc since 2.3.3): a wait of 0.1 s ends after 0.1 s.
# Seen: SEMAPHORE_TIMEOUT_SUPPORTED is False, and acquire(0.1) waits on, and so does acquire(0), until
#   the signal of an alarm comes after 2 s. (posix_ipc, which it is a sibling of, waits as long as it is told.)
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv sysv_ipc==1.2.0 posix_ipc==1.3.2
cat >t.py <<'P'
import os, signal
import posix_ipc, sysv_ipc

def outcome(semaphore, timeout):
    signal.alarm(2)
    try:
        semaphore.acquire(timeout)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)

signal.signal(signal.SIGALRM, lambda *_: None)
name = f"/finding-{os.getpid()}"
print("sysv_ipc.SEMAPHORE_TIMEOUT_SUPPORTED", sysv_ipc.SEMAPHORE_TIMEOUT_SUPPORTED)
for library, semaphore in (
    (posix_ipc, posix_ipc.Semaphore(name, posix_ipc.O_CREX, initial_value=0)),
    (sysv_ipc, sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=0)),
):
    try:
        for timeout in (0, 0.1):
            print(library.__name__, timeout, outcome(semaphore, timeout))
    finally:
        semaphore.unlink() if library is posix_ipc else semaphore.remove()
P
expect "semaphore" "$("$W/venv/bin/python" t.py)" \
"sysv_ipc.SEMAPHORE_TIMEOUT_SUPPORTED False
posix_ipc 0 BusyError: Semaphore is busy
posix_ipc 0.1 BusyError: Semaphore is busy
sysv_ipc 0 Error: Signaled while waiting
sysv_ipc 0.1 Error: Signaled while waiting"
