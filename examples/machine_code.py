"""A program in machine code from Python: what it wrote, how it ended, what the kernel has to say.

`pkern.run` runs an unmodified static ELF program; here busybox, of which many systems have one.
Its memory, files and time are this kernel's: a second of sleep takes no time of the host's.

Run:
    python examples/machine_code.py
Prints:
    status 0: hello from busybox
    status 139, signal SIGSEGV
    10 virtual seconds pass at once: True
    limits: 16 files
"""

import shutil
import sys

import pkern

BUSYBOX = shutil.which("busybox")
if BUSYBOX is None:
    sys.exit("this example needs busybox (a static one)")


def shell(script, **options):
    return pkern.run(BUSYBOX, "sh", "-c", script, ram="16M", **options)


done = shell("echo hello from busybox")
print(f"status {done.status}: {done.out.decode().strip()}")

done = shell("kill -SEGV $$")
print(f"status {done.status}, signal {done.signal.name}")

done = shell("sleep 10")
print("10 virtual seconds pass at once:", 10 <= done.time_ns / 1e9 < 11)

done = shell("ulimit -n", limits={"NOFILE": 16})
print("limits:", done.out.decode().strip(), "files")
