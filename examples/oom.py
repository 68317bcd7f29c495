"""Out of memory on 4 MB: the OOM killer takes the child that eats, and the parent hears of it.

The child touches page after page until there is none left. The kernel kills the task with the
highest score, which is the child; its memory comes back, and the parent goes on. The log says why.

Run:
    pkern run --ram 4M examples/oom.py
Prints:
    the child had touched more than 700 pages: True
    wait4: signal 9
    the log: Out of memory: Killed process 2 (oom.py)
    the parent's 64 pages are untouched: True
    and there is memory again: True
"""

from pkern import TaskKilled


def main(sys):
    page = sys.PAGE_SIZE
    if sys.sysinfo().totalram * sys.sysinfo().mem_unit > 4 << 20:
        raise SystemExit("it takes a small machine: pkern run --ram 4M examples/oom.py")
    rw, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    mine = sys.mmap(0, 64 * page, rw, flags)
    for number in range(64):
        sys.store(mine + number * page, b"mine")

    child = sys.fork()
    room = child.mmap(0, 1024 * page, rw, flags)
    touched = 0
    try:
        for number in range(1024):
            child.store(room + number * page, b"x")
            touched += 1
    except TaskKilled:
        print("the child had touched more than 700 pages:", touched > 700)

    _, status = sys.wait4(child.pid)
    print("wait4: signal", status & 0x7F)
    line = next(line for line in sys.kernel.log.lines() if "Out of memory" in line)
    print("the log:", line.split("] ")[1].split(" total-vm")[0])
    kept = all(sys.load(mine + number * page, 4) == b"mine" for number in range(64))
    print("the parent's 64 pages are untouched:", kept)
    info = sys.sysinfo()
    print("and there is memory again:", info.freeram * info.mem_unit > 2 << 20)
