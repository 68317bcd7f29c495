#!/usr/bin/env bash
# python3-linux-procfs 0.6.3 (Debian 12): names of processes and variables come back changed or not at all.
# Expected (proc(5), "/proc/pid/stat", "/proc/pid/status", "/proc/pid/environ"): the name between the
#   first and the last parenthesis; the rest of the line after "Name:"; NAME=value, the value whole.
# Seen: the helper "(sd-pam)" loses its parentheses, "a) (b" becomes "a" in the state "(b" and has no
#   other field, the Name of "kworker/0:1" is missing, and a value ends at its second "=".
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb python3-linux-procfs 0.6.3-
deb python3-six 1.16.0-
cat >t.py <<'P'
import os
import procfs

def process(pid, comm):
    os.makedirs(f"proc/{pid}")
    with open(f"proc/{pid}/stat", "w") as file:
        file.write(f"{pid} ({comm}) S 1 {pid} {pid} 0 -1 64" + " 0" * 43 + "\n")
    with open(f"proc/{pid}/status", "w") as file:
        file.write(f"Name:\t{comm}\nState:\tS (sleeping)\nPid:\t{pid}\n")
    stat, status = procfs.pidstat(pid, "proc"), procfs.pidstatus(pid, "proc")
    found = [stat[key] if key in stat else "missing" for key in ("comm", "state", "ppid", "flags")]
    print(comm, "->", *found, "Name", status["Name"] if "Name" in status else "missing")

for pid, comm in ((10, "init"), (11, "(sd-pam)"), (12, "a) (b"), (13, "kworker/0:1")):
    process(pid, comm)
print("COLORS=di=01;34:ln=36 ->", procfs.process(os.getpid())["environ"]["COLORS"])
P
expect "process" "$(COLORS="di=01;34:ln=36" PYTHONPATH=$W/root/usr/lib/python3/dist-packages python3 t.py)" \
"init -> init S 1 64 Name init
(sd-pam) -> sd-pam S 1 64 Name (sd-pam)
a) (b -> a (b missing missing Name a) (b
kworker/0:1 -> kworker/0:1 S 1 64 Name missing
COLORS=di=01;34:ln=36 -> di"
