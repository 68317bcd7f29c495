#!/usr/bin/env bash
# smem 1.5 (Debian 12): what smemcap of the same release has captured cannot be read; from a folder, files whose names
#   differ behind a blank are one mapping, and a process's name ends at its first parenthesis.
# Expected (smem(8): "you can capture data from an embedded system using smemcap", "smem -S memorycapture.tar"; proc(5),
#   /proc/pid/maps: the pathname is the rest of the line; /proc/pid/stat: the name is in parentheses): a report, two
#   mapped files of 64 and 40 kB, and the name of status.
# Seen: what comes out of a tar file is bytes, and is compared with text: a TypeError; a line of smaps is split at every
#   blank, and the sixth part is the name.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb smem 1.5
deb smemcap 1.5
smem() { python3 "$W/root/usr/bin/smem" "$@" 2>&1; }
"$W/root/usr/bin/smemcap" >capture.tar
expect "lines of meminfo" "$(tar -xOf capture.tar meminfo | grep -c '^MemTotal: .* kB$')" 1
for report in -m -w; do
	smem -S capture.tar $report | tail -1
done >errors || true
expect "smem" "$(cat errors)" \
"TypeError: a bytes-like object is required, not 'str'
TypeError: cannot use a string pattern on a bytes-like object"
mkdir -p source/proc/7
cat >t.py <<'P'
def mapping(start, name, size):
    """Return a mapping's lines in smaps, all of it private."""
    lines = [f"{start:08x}-{start + size * 1024:08x} rw-p 00000000 08:01 7                        {name}"]
    for field in "Size Rss Pss Private_Dirty Referenced".split():
        lines.append(f"{field + ':':15} {size:8} kB")
    for field in "Shared_Clean Shared_Dirty Private_Clean Swap".split():
        lines.append(f"{field + ':':15} {0:8} kB")
    return "\n".join([*lines, "VmFlags: rd wr mr mw me ac "]) + "\n"

def write(name, text):
    with open("source/proc/" + name, "w") as file:
        file.write(text)

write("7/smaps", mapping(0x10000, "/data/log 1", 64) + mapping(0x30000, "/data/log 2", 40))
write("7/stat", "7 (worker (2) x) S 1 7 7 0 -1\n")
write("7/cmdline", "/bin/worker\0")
write("version", "Linux version 6.1\n")
write("meminfo", "".join(f"{name}: 1000 kB\n" for name in "MemTotal MemFree SwapTotal SwapFree".split()))
P
python3 t.py
expect "process" "$(smem -S source -H -c 'pid name uss' | xargs)" \
"7 worker (2 104"
expect "mapping" "$(smem -S source -H -m -c 'map count pss' | xargs)" \
"/data/log 2 104"
