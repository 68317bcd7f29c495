#!/usr/bin/env bash
# psutil 7.2.2 (PyPI): with PROCFS_PATH set, one Process object describes two machines.
# Expected (psutil's documentation, "PROCFS_PATH": to be set if /proc is mounted elsewhere, or for what a
#   container has): a process is what that tree says of it, or the call is refused.
# Seen: name and memory come from the tree, nice() from the process of this machine that happens to
#   have the pid. A pid that only the tree has is in pids(), but
#   pid_exists() denies it, nice() raises NoSuchProcess while is_running() is true, and
#   process_iter() leaves it out as soon as it is asked for nice.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv psutil==7.2.2
cat >t.py <<'P'
import os
import resource
import psutil

mine = os.getpid()
foreign = next(pid for pid in range(2**22 - 1, 1, -1) if not os.path.exists(f"/proc/{pid}"))
nice = (os.nice(0) + 7) % 19  # what the tree says, and no process here

def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)

def process(pid, comm):
    fields = ["S", 1, pid, pid, 0, -1, 0, 1, 0, 0, 0, 5, 6, 0, 0, 20, nice, 1, 0, 2000, 8192000, 250]
    write(f"proc/{pid}/stat", f"{pid} ({comm}) " + " ".join(map(str, fields + [0] * 28)) + "\n")
    write(f"proc/{pid}/statm", "2000 250 100 10 0 300 0\n")
    write(f"proc/{pid}/status", f"Name:\t{comm}\nTgid:\t{pid}\nPid:\t{pid}\n")
    write(f"proc/{pid}/cmdline", comm + "\0")

write("proc/stat", "cpu  1 0 1 100 0 0 0 0 0 0\nbtime 1000000000\n")
write("proc/uptime", "100.00 90.00\n")
process(mine, "first")
process(foreign, "second")
psutil.PROCFS_PATH = "proc"

print("pids() finds both:", psutil.pids() == sorted((mine, foreign)))
p = psutil.Process(mine)
print("a pid of both:", p.name(), p.memory_info().rss // resource.getpagesize(), "pages,",
      "nice is this machine's:", p.nice() == os.nice(0) != nice)
p = psutil.Process(foreign)
print("a pid of the tree:", p.name(), "pid_exists:", psutil.pid_exists(foreign), "running:", p.is_running())
try:
    print("nice", p.nice())
except psutil.NoSuchProcess:
    print("nice: NoSuchProcess")
print("process_iter(name):", [p.info["name"] for p in psutil.process_iter(["name"])])
print("process_iter(name, nice):", [p.info["name"] for p in psutil.process_iter(["name", "nice"])])
P
expect "tree" "$("$W/venv/bin/python" t.py)" \
"pids() finds both: True
a pid of both: first 250 pages, nice is this machine's: True
a pid of the tree: second pid_exists: False running: True
nice: NoSuchProcess
process_iter(name): ['first', 'second']
process_iter(name, nice): ['first']"
