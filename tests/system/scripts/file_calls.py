"""Calls on files below a directory: prints what each one gives, or its errno. DIR [UID]

The same on a tmpfs of the host's and on the files of a mounted machine; times are the host's there
and virtual here, so they are shown only where the calls have set them.
"""

import ctypes
import errno
import os
import stat
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2


def show(name, call, *args):
    """Print what a call returns, or its errno's name."""
    try:
        result = call(*args)
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(f"{name}: {result}")


def rename2(old, new, flags):
    """renameat2(2)."""
    if LIBC.renameat2(-100, old.encode(), -100, new.encode(), flags):
        raise OSError(ctypes.get_errno(), "")


def times(path, *pairs):
    """utimensat(2) of pairs (seconds, nanoseconds)."""
    words = (ctypes.c_long * 4)(*[word for pair in pairs for word in pair])
    if LIBC.utimensat(-100, path.encode(), words, 0x100):
        raise OSError(ctypes.get_errno(), "")


def told(path):
    """What stat says, but what differs between two file systems."""
    found = os.lstat(path)
    size = found.st_size if not stat.S_ISDIR(found.st_mode) else "-"
    return oct(found.st_mode), found.st_nlink, found.st_uid, found.st_gid, size, found.st_blocks


def set_times(path):
    found = os.lstat(path)
    return found.st_atime_ns, found.st_mtime_ns


def write(path, data, flags=os.O_WRONLY | os.O_CREAT, mode=0o644, at=None):
    fd = os.open(path, flags, mode)
    try:
        return os.write(fd, data) if at is None else os.pwrite(fd, data, at)
    finally:
        os.close(fd)


def read(path, nbytes=100, at=0):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, nbytes, at)
    finally:
        os.close(fd)


def contents():
    """What is read is what was written, and sizes change."""
    show("write", write, "a", b"hello")
    show("read", read, "a")
    show("told", told, "a")
    show("exclusive", write, "a", b"x", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    show("append", write, "a", b" world", os.O_WRONLY | os.O_APPEND)
    show("appended", read, "a")
    show("hole", write, "a", b"end", os.O_WRONLY, 0, 9000)
    show("told of a hole", told, "a")
    show("in the hole", read, "a", 4, 8998)
    show("truncating open", write, "a", b"short", os.O_WRONLY | os.O_TRUNC)
    show("truncated", read, "a")
    show("longer", os.truncate, "a", 5000)
    show("told longer", told, "a")
    show("too long", os.truncate, "a", 1 << 62)
    show("negative", os.truncate, "a", -1)
    show("large", write, "large", bytes(range(256)) * 4096)
    show("large read", lambda: hash(read("large", 1 << 20)) == hash(bytes(range(256)) * 4096))


def directories():
    """Directories, and paths through what is none."""
    show("no such", read, "missing")
    show("below a file", read, "a/b")
    show("directory", os.mkdir, "d", 0o755)
    show("again", os.mkdir, "d")
    show("told of it", told, "d")
    show("read a directory", read, "d")
    show("write a directory", write, "d", b"x", os.O_WRONLY)


def links():
    """Second names, and names of names."""
    show("link", os.link, "a", "d/second")
    show("links", told, "a")
    show("link of a directory", os.link, "d", "e")
    show("symlink", os.symlink, "d/second", "sym")
    show("readlink", os.readlink, "sym")
    show("readlink of a file", os.readlink, "a")
    show("through it", read, "sym", 5)
    show("told of the link", told, "sym")
    show("symlink over one", os.symlink, "x", "sym")
    show("dangling", os.symlink, "nowhere", "lost")
    show("through nothing", read, "lost")
    show("loop", lambda: (os.symlink("loop", "loop"), read("loop")))


def renames():
    """One name over another."""
    show("rename", os.rename, "d/second", "d/third")
    show("rename over", os.rename, "d/third", "large")
    show("renamed", read, "large", 5)
    show("rename a directory over a file", os.rename, "d", "a")
    show("rename a file over a directory", os.rename, "a", "d")
    show("rename into itself", os.rename, "d", "d/below")
    show("rename of nothing", os.rename, "missing", "other")
    show("no replace", rename2, "a", "sym", NOREPLACE)
    show("no replace, free", rename2, "lost", "found", NOREPLACE)
    show("exchange", rename2, "a", "d", EXCHANGE)
    show("exchanged", lambda: (told("a")[0], told("d")[0]))
    show("exchange back", rename2, "a", "d", EXCHANGE)
    show("exchange with nothing", rename2, "a", "missing", EXCHANGE)
    show("both flags", rename2, "a", "d", NOREPLACE | EXCHANGE)


def modes():
    """Bits and owners."""
    show("chmod", os.chmod, "a", 0o4751)
    show("chmod told", told, "a")
    show("write drops the bit", lambda: (write("a", b"x", os.O_WRONLY), told("a")[0]))
    show("chown to another", os.chown, "a", 12345, -1)
    show("chown to oneself", os.chown, "a", os.getuid(), os.getgid())
    show("lchown", os.lchown, "found", os.getuid(), -1)
    show("sticky", os.chmod, "d", 0o1777)


def times_set():
    """Times that calls set."""
    show("times", times, "a", (5, 6), (7, 8))
    show("are", set_times, "a")
    show("only one", times, "a", (9, 10), (0, OMIT))
    show("are then", set_times, "a")
    show("the other", times, "a", (0, OMIT), (11, 12))
    show("are at last", set_times, "a")
    show("none", times, "a", (0, OMIT), (0, OMIT))
    show("now", lambda: (times("a", (0, NOW), (0, NOW)), set_times("a")[0] > 1 << 56))
    show("of a link", times, "found", (1, 2), (3, 4))
    show("of the link", set_times, "found")
    show("before the epoch", times, "a", (-1, 5), (-2, 6))
    show("too many ns", times, "a", (1, 2_000_000_000), (1, 1))


def nodes():
    """Inodes that hold no bytes."""
    show("fifo", os.mkfifo, "fifo", 0o640)
    show("told of a fifo", told, "fifo")
    show("mknod of a file", os.mknod, "node", 0o100600)
    show("mknod of a device", os.mknod, "null", 0o020666, os.makedev(1, 3))


def removals():
    """Names that go."""
    show("entries", lambda: sorted(os.listdir(".")))
    show("remove a full directory", lambda: (write("d/full", b""), os.rmdir("d")))
    show("remove a file as a directory", os.rmdir, "a")
    show("unlink a directory", os.unlink, "d")
    show("unlink", os.unlink, "d/full")
    show("rmdir", os.rmdir, "d")
    show("rmdir of nothing", os.rmdir, "d")


def names():
    """Names of any length and bytes."""
    show("a long name", write, "n" * 255, b"x")
    show("too long a name", write, "n" * 256, b"x")
    show("bytes that are no text", write, b"\xff\xfe", b"x")
    show("as they are", lambda: b"\xff\xfe" in os.listdir(b"."))


def open_without_a_name():
    """A file that is open and has no name any more."""
    fd = os.open("open", os.O_RDWR | os.O_CREAT, 0o600)
    show("unlink an open one", os.unlink, "open")
    show("write it", os.write, fd, b"still there")
    show("read it", os.pread, fd, 100, 0)
    show("truncate it", lambda: (os.ftruncate(fd, 5), os.pread(fd, 100, 0)))
    show("allocate", lambda: (os.posix_fallocate(fd, 0, 20000), len(os.pread(fd, 30000, 0))))
    show("sync", os.fsync, fd)
    os.close(fd)


def rights():
    """What may not be done."""
    show("read only", lambda: (os.chmod("a", 0o400), write("a", b"x", os.O_WRONLY)))
    show("access to write", os.access, "a", os.W_OK)
    show("access to run", os.access, "a", os.X_OK)
    show("closed", lambda: (os.mkdir("closed", 0), os.listdir("closed")))
    show("into it", write, "closed/x", b"x")


def attributes():
    """Extended attributes."""
    show("set an attribute", os.setxattr, "large", "user.name", b"value")
    show("again, made", os.setxattr, "large", "user.name", b"other", os.XATTR_CREATE)
    show("replaced", os.setxattr, "large", "user.name", b"other", os.XATTR_REPLACE)
    show("get", os.getxattr, "large", "user.name")
    show("get none", os.getxattr, "large", "user.none")
    show("list", lambda: [n for n in os.listxattr("large") if n.startswith("user.")])
    show("remove", os.removexattr, "large", "user.name")
    show("remove none", os.removexattr, "large", "user.name")
    show("trusted", os.setxattr, "large", "trusted.name", b"value")


PARTS = (
    contents,
    directories,
    links,
    renames,
    modes,
    times_set,
    nodes,
    removals,
    names,
    open_without_a_name,
    rights,
    attributes,
)


def main():
    os.umask(0o027)
    for part in PARTS:
        part()


os.chdir(sys.argv[1])
if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
main()
