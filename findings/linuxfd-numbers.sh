#!/usr/bin/env bash
# linuxfd 1.5 (PyPI): an eventfd's large counter reads as negative, its large initial value is cut, unsaid.
# Expected (eventfd(2): the counter is an unsigned 64-bit integer up to 0xfffffffffffffffe, the initial value an
#   unsigned int; signalfd(2): ssi_ptr is a uint64_t; the docstrings of linuxfd.eventfd: both values in the range
#   [0;2**64-2], EINVAL for others): what was written, as Python's os.eventfd_read() gives it.
# Seen: from 2**63 on the number less 2**64, and the pointer with a signal alike; an initial value modulo 2**32, so that
#   2**32 is an empty counter.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv linuxfd==1.5
cat >t.py <<'P'
import ctypes, os, signal
import linuxfd

for value in (2**32 + 5, 2**63 - 1, 2**63, 2**64 - 2):
    ours, theirs = os.eventfd(0), linuxfd.eventfd()
    os.eventfd_write(ours, value)
    theirs.write(value)
    print(f"written {value}: Python {os.eventfd_read(ours)}, linuxfd {theirs.read()}")
for value in (2**32 - 1, 2**32, 2**32 + 5):
    try:
        print(f"initial {value}: linuxfd {linuxfd.eventfd(value, nonBlocking=True).read()}")
    except BlockingIOError as error:
        print(f"initial {value}: linuxfd {error.strerror}")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
descriptor = linuxfd.signalfd([signal.SIGUSR1])
libc = ctypes.CDLL(None)
libc.sigqueue(os.getpid(), signal.SIGUSR1, ctypes.c_void_p(2**64 - 16))
print(f"queued {2**64 - 16}: linuxfd {descriptor.read()['ptr']}")
P
expect "number" "$("$W/venv/bin/python" t.py)" \
"written 4294967301: Python 4294967301, linuxfd 4294967301
written 9223372036854775807: Python 9223372036854775807, linuxfd 9223372036854775807
written 9223372036854775808: Python 9223372036854775808, linuxfd -9223372036854775808
written 18446744073709551614: Python 18446744073709551614, linuxfd -2
initial 4294967295: linuxfd 4294967295
initial 4294967296: linuxfd Resource temporarily unavailable
initial 4294967301: linuxfd 5
queued 18446744073709551600: linuxfd -16"
