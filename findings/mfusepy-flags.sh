#!/usr/bin/env bash
# mfusepy 3.1.1 (PyPI), with libfuse 3 (Debian 12: libfuse3-3): what a file system's operations are not told.
# Expected (libfuse's fuse.h, which mfusepy's README calls its low-level interface: rename gets flags, and
#   must exchange the two files for RENAME_EXCHANGE; utimensat(2): UTIME_OMIT leaves a time, UTIME_NOW is now):
#   an exchange exchanges, or is refused; `touch -a` leaves the modification time.
# Seen: rename(old, new) is called without flags, so that an exchange succeeds and destroys one of the two files;
#   utimens() gets (seconds * 10^9 + UTIME_OMIT), so that `touch -a` sets the modification time to 1.07 s after the
#   epoch, and `touch -m` the access time.
# Wants /dev/fuse as root, beside python3 with venv.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv mfusepy==3.1.1
deb libfuse3-3 3.14.0-
export FUSE_LIBRARY_PATH=$(find "$W/root" -name "libfuse3.so.3")
cat > through.py <<'PY'
import os, sys
import mfusepy

class Through(mfusepy.Operations):
    """A directory shown at another place: each operation is os's of that name."""
    use_ns = True
    def at(self, path): return sys.argv[1] + path
    def getattr(self, path, fh=None):
        found = os.lstat(self.at(path))
        shown = {n: getattr(found, n) for n in ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")}
        return shown | {f"st_{t}": getattr(found, f"st_{t}_ns") for t in ("atime", "mtime", "ctime")}
    def readdir(self, path, fh): return [".", "..", *os.listdir(self.at(path))]
    def open(self, path, flags): return os.open(self.at(path), flags)
    def read(self, path, size, offset, fh): return os.pread(fh, size, offset)
    def release(self, path, fh): os.close(fh); return 0
    def rename(self, old, new): os.rename(self.at(old), self.at(new)); return 0
    def utimens(self, path, times): os.utime(self.at(path), ns=times); return 0

mfusepy.FUSE(Through(), sys.argv[2], foreground=True)
PY
cat > exchange.py <<'PY'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
here, there = (name.encode() for name in sys.argv[1:])
failed = libc.renameat2(-100, here, -100, there, 2)  # RENAME_EXCHANGE
print("exchange:", os.strerror(ctypes.get_errno()) if failed else "done")
PY
mkdir real shown
trap 'umount -l "$W/shown"; rm -rf "$W"' EXIT
"$W/venv/bin/python" through.py "$PWD/real" "$PWD/shown" 2>/dev/null &
for i in $(seq 100); do mountpoint -q shown && break; sleep 0.1; done
echo one > real/a; echo two > real/b
touch -d "2020-01-02 UTC" real/a real/b
touch -a shown/a
expect "touch -a: the modification time" "$(stat -c %y real/a | cut -c -19)" "1970-01-01 00:00:01"
expect "RENAME_EXCHANGE" "$(python3 exchange.py shown/a shown/b; cd real; grep . *)" \
"exchange: done
one"
