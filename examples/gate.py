"""The gate: who may make nonlinear mappings, and how root opens it for everyone.

While vm.nonlinear is 0 the calls fail with EPERM, except for who holds CAP_IPC_LOCK. A child that
gives its rights up stands before a closed gate; root opens it through /proc/sys; then it may pass.

Run:
    pkern run --uid 0 examples/gate.py
Prints:
    root, gate closed: ok
    user, gate closed: EPERM
    user opens the gate: EACCES
    root opens the gate: vm.nonlinear = 1
    user, gate open: ok

Run:
    pkern run examples/gate.py
Prints:
    user, gate closed: EPERM
    user opens the gate: EACCES
"""

import errno

SYSCTL = "/proc/sys/vm/nonlinear"


def attempt(sys, who):
    try:
        window = sys.mmap(0, 4096, sys.PROT_READ, sys.MAP_SHARED | sys.MAP_NONLINEAR)
        sys.munmap(window, 4096)
        print(f"{who}: ok")
    except OSError as error:
        print(f"{who}: {errno.errorcode[error.errno]}")


def open_gate(sys, who):
    try:
        fd = sys.open(SYSCTL, sys.O_RDWR)
    except PermissionError as error:
        print(f"{who} opens the gate: {errno.errorcode[error.errno]}")
        return
    sys.write(fd, b"1\n")
    print(f"{who} opens the gate: vm.nonlinear =", sys.pread64(fd, 16, 0).decode().strip())


def main(sys):
    if sys.getuid() != 0:
        attempt(sys, "user, gate closed")
        open_gate(sys, "user")
        return
    attempt(sys, "root, gate closed")
    user = sys.fork()
    user.setuid(1000)
    attempt(user, "user, gate closed")
    open_gate(user, "user")
    open_gate(sys, "root")
    attempt(user, "user, gate open")
