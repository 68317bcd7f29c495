"""/proc beyond its texts: who may read what, what writes do, memory and pages: as on the host."""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.mm.nodes import free_blocks
from pkern.kernel.tasks.credentials import ALL_CAPS
from pkern.kernel.vfs.proc.procfs import SPARE_DIRS
from pkern.userland.program import Sys
from tests.host import without_newer_fields

PAGE = 4096
OWNER, STRANGER = 1000, 1001
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become two other users")

OK = "ok"
FILES = (
    "auxv", "clear_refs", "cmdline", "comm", "coredump_filter", "environ", "io", "limits", "maps",
    "mem", "mountinfo", "mounts", "mountstats", "oom_adj", "oom_score", "oom_score_adj", "pagemap",
    "personality", "sched", "schedstat", "smaps", "smaps_rollup", "stat", "statm", "status",
    "syscall", "timerslack_ns", "wchan",
)  # fmt: skip
DIRECTORIES, LINKS = ("fd", "fdinfo", "net", "task"), ("cwd", "root", "fd/0")


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel(ram="16M", sysctl={"kernel.pid_max": 4194304}) as kernel:
        yield kernel
        kernel.check()


def user(machine: Kernel, uid: int = OWNER) -> Sys:
    sys = Sys(machine.spawn("prog", uid=uid, gid=uid))
    sys.open("/dev/null", sys.O_RDWR, 0)
    return sys


def show(sys: Sys, path: str) -> bytes:
    fd = sys.open(path, sys.O_RDONLY, 0)
    data = b"".join(iter(lambda: sys.read(fd, 65536), b""))
    sys.close(fd)
    return data


def test_a_descriptor_has_one_name(machine: Kernel) -> None:
    """Its number in ASCII's digits, as short as can be: Linux's name_to_int()."""
    sys = user(machine)
    for folder in ("fd", "fdinfo"):
        sys.lstat(f"/proc/self/{folder}/0")
        for name in ("00", "+0", "\u0660", "0_0"):
            with pytest.raises(FileNotFoundError):
                sys.lstat(f"/proc/self/{folder}/{name}")


def map_anonymous(sys: Sys, pages: int, kind: int = lib.MAP_PRIVATE) -> int:
    at: int = sys.mmap(0, pages * PAGE, 3, kind | sys.MAP_ANONYMOUS)
    return at


# ---- who may look ----


def outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return OK


def opened_and_read(opening: Callable[[], int], reading: Callable[[int], Any]) -> str:
    try:
        fd = opening()
    except OSError as error:
        return "open " + errno.errorcode[error.errno or 0]
    return outcome(lambda: reading(fd))


def look_on_host(base: str) -> dict[str, list[Any]]:
    seen: dict[str, list[Any]] = {}
    for name in FILES:
        path = base + name
        seen[name] = [opened_and_read(lambda p=path: os.open(p, 0), lambda fd: os.read(fd, 64))]
    for name in DIRECTORIES:
        seen[name] = [outcome(lambda p=base + name: os.listdir(p))]
    for name in LINKS:
        seen[name] = [outcome(lambda p=base + name: os.readlink(p))]
    for name in (*FILES, *DIRECTORIES, "cwd", "root"):
        status = os.stat(base + name, follow_symlinks=False)
        seen[name] += [oct(status.st_mode), status.st_uid]
    return seen


def look_here(sys: Sys, base: str) -> dict[str, list[Any]]:
    seen: dict[str, list[Any]] = {}
    for name in FILES:
        path = base + name
        seen[name] = [
            opened_and_read(lambda p=path: sys.open(p, 0, 0), lambda fd: sys.read(fd, 64))
        ]
    for name in DIRECTORIES:
        seen[name] = [outcome(lambda p=base + name: sys.listdir(p))]
    for name in LINKS:
        seen[name] = [outcome(lambda p=base + name: sys.readlink(p))]
    for name in (*FILES, *DIRECTORIES, "cwd", "root"):
        status = sys.lstat(base + name)
        seen[name] += [oct(status.st_mode), status.st_uid]
    return seen


def become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def in_child(act: Callable[[], Any]) -> Any:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text)


def seen_on_host(looker: int, dumpable: int, ended: bool) -> dict[str, list[Any]]:
    """Let a host process of one user look at another's, or at one that has ended."""
    import ctypes

    reader, writer = os.pipe()
    subject = os.fork()
    if subject == 0:
        become(OWNER)
        ctypes.CDLL(None).prctl(4, dumpable, 0, 0, 0)
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        os.write(writer, b"x")
        if not ended:
            time.sleep(3600)  # it is killed long before
        os._exit(0)
    os.read(reader, 1)
    try:
        while ended and ") Z " not in Path(f"/proc/{subject}/stat").read_text():
            time.sleep(0.01)

        def look() -> dict[str, list[Any]]:
            become(looker)
            return look_on_host(f"/proc/{subject}/")

        found: dict[str, list[Any]] = in_child(look)
        return found
    finally:
        os.kill(subject, 9)
        os.waitpid(subject, 0)
        os.close(reader)
        os.close(writer)


@needs_root
@pytest.mark.parametrize("looker", [OWNER, STRANGER])
@pytest.mark.parametrize(("dumpable", "ended"), [(1, False), (0, False), (1, True)])
def test_who_may_look_is_the_hosts(
    machine: Kernel, looker: int, dumpable: int, ended: bool
) -> None:
    parent = user(machine)
    subject = parent.fork()
    subject.prctl(4, dumpable)
    if ended:
        subject.exit(0)
    here = look_here(user(machine, looker), f"/proc/{subject.pid}/")
    assert here == seen_on_host(looker, dumpable, ended)


def test_a_stranger_sees_what_is_public_only(machine: Kernel) -> None:
    subject, stranger = user(machine), user(machine, STRANGER)
    seen = look_here(stranger, f"/proc/{subject.pid}/")
    hidden = {"auxv", "environ", "io", "maps", "mem", "pagemap", "smaps", "smaps_rollup", "syscall"}
    assert all(seen[name][0] == "open EACCES" for name in hidden)
    assert all(seen[name][0] == OK for name in ("cmdline", "comm", "stat", "status", "limits"))
    assert {seen[name][0] for name in ("fd", "fdinfo", "cwd", "fd/0")} == {"EACCES"}
    own = show(subject, f"/proc/{subject.pid}/stat").split()
    his = show(stranger, f"/proc/{subject.pid}/stat").split()
    assert [n for n, (a, b) in enumerate(zip(own, his, strict=True), 1) if a != b] == [
        26,
        27,
        28,
        47,
    ]


# ---- writing ----

WRITES: tuple[tuple[str, bytes], ...] = (
    ("comm", b"abc"), ("comm", b"abc\n"), ("comm", b"0123456789abcdefgh"), ("comm", b""),
    ("comm", b"a\0b"), ("oom_score_adj", b"500"), ("oom_score_adj", b"  12\n"),
    ("oom_score_adj", b"1001"), ("oom_score_adj", b"-1001"), ("oom_score_adj", b"x"),
    ("oom_score_adj", b""), ("oom_score_adj", b"0x10"), ("oom_score_adj", b"010"),
    ("oom_score_adj", b"+5"), ("oom_score_adj", b"5 6"), ("oom_score_adj", b"1_0"),
    ("oom_score_adj", b"0b1"), ("oom_score_adj", b"00000000000000123"), ("oom_score_adj", b"0"),
    ("oom_score_adj", b"-1"), ("oom_adj", b"5"), ("oom_adj", b"4"), ("oom_adj", b"15"),
    ("oom_adj", b"16"), ("oom_adj", b"-17"), ("oom_adj", b"-18"), ("oom_adj", b"14"),
    ("timerslack_ns", b"100"), ("timerslack_ns", b"0"), ("timerslack_ns", b"-1"),
    ("timerslack_ns", b"x"), ("clear_refs", b"1"), ("clear_refs", b"3\n"), ("clear_refs", b"4"),
    ("clear_refs", b"5"), ("clear_refs", b"0"), ("clear_refs", b"6"), ("clear_refs", b"x"),
    ("coredump_filter", b"0x7f"), ("coredump_filter", b"0"), ("coredump_filter", b"9999"),
    ("coredump_filter", b"-1"), ("stat", b"x"), ("maps", b"x"), ("status", b""),
)  # fmt: skip


def written(open_: Any, write: Any, read: Any, close: Any, name: str, data: bytes) -> list[Any]:
    """Write to a file of /proc/self; return the result and, of numbers and names, what it reads."""
    try:
        fd = open_(f"/proc/self/{name}", os.O_WRONLY)
    except OSError as error:
        return ["open", error.errno]
    try:
        result = write(fd, data)
    except OSError as error:
        result = errno.errorcode[error.errno or 0]
    close(fd)
    if name in ("stat", "maps", "status", "clear_refs"):
        return [result]
    fd = open_(f"/proc/self/{name}", os.O_RDONLY)
    back = read(fd, 100)
    close(fd)
    return [result, back.decode()]


def test_writes_have_the_hosts_results(machine: Kernel) -> None:
    def on_host() -> list[Any]:
        if ROOT:
            become(OWNER)
            os.setresuid(OWNER, OWNER, OWNER)
        __import__("ctypes").CDLL(None).prctl(4, 1, 0, 0, 0)
        return [written(os.open, os.write, os.read, os.close, *step) for step in WRITES]

    sys = user(machine)
    sys.task.oom_score_adj = int(Path("/proc/self/oom_score_adj").read_text())
    sys.task.group.oom_score_adj_min = min(0, sys.task.oom_score_adj)
    here = [
        written(lambda p, f: sys.open(p, f, 0), sys.write, sys.read, sys.close, *step)
        for step in WRITES
    ]
    for step, ours, theirs in zip(WRITES, here, in_child(on_host), strict=True):
        assert ours == theirs, step


def test_lowering_oom_score_adj_wants_cap_sys_resource(machine: Kernel) -> None:
    sys, root = user(machine), Sys(machine.spawn(uid=0, gid=0))
    path = f"/proc/{sys.pid}/oom_score_adj"
    fd = sys.open(path, sys.O_RDWR, 0)
    sys.write(fd, b"300")
    sys.write(fd, b"0")
    with pytest.raises(SyscallError) as caught:
        sys.write(fd, b"-1")
    assert caught.value.errno == errno.EACCES
    root.write(root.open(path, root.O_WRONLY, 0), b"-500")
    sys.write(fd, b"-400")
    assert sys.task.oom_score_adj == -400
    assert sys.fork().task.group.oom_score_adj_min == -500


def test_only_the_task_itself_renames_it(machine: Kernel) -> None:
    sys, other = user(machine), user(machine)
    fd = other.open(f"/proc/{sys.pid}/comm", other.O_WRONLY, 0)
    with pytest.raises(SyscallError) as caught:
        other.write(fd, b"no")
    assert caught.value.errno == errno.EINVAL
    sys.write(sys.open("/proc/self/comm", sys.O_WRONLY, 0), b"yes")
    assert show(other, f"/proc/{sys.pid}/comm") == b"yes\n"


# ---- one pass, one state ----


def test_a_file_read_again_from_the_beginning_is_made_anew(machine: Kernel) -> None:
    sys = user(machine)
    fd = sys.open("/proc/self/status", sys.O_RDONLY, 0)
    first = sys.read(fd, 10)
    sys.write(sys.open("/proc/self/comm", sys.O_WRONLY, 0), b"renamed")
    rest = sys.read(fd, 1 << 16)
    assert (first + rest).startswith(b"Name:\tprog\n")
    sys.lseek(fd, 0, sys.SEEK_SET)
    assert sys.read(fd, 1 << 16).startswith(b"Name:\trenamed\n")


def test_files_keep_their_identity(machine: Kernel) -> None:
    sys = user(machine)
    path = f"/proc/{sys.pid}/status"
    fd = sys.open(path, sys.O_RDONLY, 0)
    assert sys.stat(path).st_ino == sys.stat(path).st_ino == sys.fstat(fd).st_ino
    assert sys.stat("/proc/self/").st_ino == sys.stat(f"/proc/{sys.pid}").st_ino
    names = set(sys.listdir("/proc"))
    assert {str(sys.pid), "self", "thread-self", "meminfo", "sys"} <= names


def test_a_task_that_is_gone_reads_as_esrch(machine: Kernel) -> None:
    sys = user(machine)
    child = sys.fork()
    fd = sys.open(f"/proc/{child.pid}/status", sys.O_RDONLY, 0)
    child.exit(0)
    told = sys.read(fd, 200).splitlines()
    assert told[1] == b"State:\tZ (zombie)"  # a zombie has no umask any more
    assert b"FDSize:\t0" in told
    assert show(sys, f"/proc/{child.pid}/maps") == b""
    assert show(sys, f"/proc/{child.pid}/timens_offsets") == b""
    assert show(sys, f"/proc/{child.pid}/statm") == b"0 0 0 0 0 0 0\n"
    sys.wait4(child.pid, 0)
    sys.lseek(fd, 0, sys.SEEK_SET)
    with pytest.raises(SyscallError) as caught:
        sys.read(fd, 200)
    assert caught.value.errno == errno.ESRCH
    assert outcome(lambda: sys.stat(f"/proc/{child.pid}")) == "ENOENT"


def test_nothing_can_be_made_or_changed_here(machine: Kernel) -> None:
    root = Sys(machine.spawn(uid=0, gid=0))
    assert outcome(lambda: root.chmod("/proc/self/stat", 0o777)) == "EPERM"
    assert outcome(lambda: root.unlink("/proc/version")) == "EPERM"
    assert outcome(lambda: root.mkdir("/proc/x", 0o755)) in ("EPERM", "ENOENT")


# ---- links ----


def test_threads_and_descriptors(machine: Kernel) -> None:
    sys = user(machine)
    pid = sys.pid
    assert sys.readlink("/proc/self") == str(pid)
    assert sys.readlink("/proc/thread-self") == f"{pid}/task/{pid}"
    assert sys.listdir("/proc/self/task") == [str(pid)]
    assert show(sys, "/proc/thread-self/comm") == b"prog\n"
    children = [sys.fork().pid for _ in range(2)]
    assert show(sys, f"/proc/self/task/{pid}/children").split() == [b"%d" % p for p in children]
    fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT | sys.O_APPEND | sys.O_CLOEXEC, 0o600)
    sys.write(fd, b"12345")
    info = show(sys, f"/proc/self/fdinfo/{fd}").decode()
    inode = sys.fstat(fd).st_ino
    assert re.fullmatch(rf"pos:\t5\nflags:\t02102002\nmnt_id:\t\d+\nino:\t{inode}\n", info)
    assert sys.readlink("/proc/mounts") == "self/mounts"


def test_fdinfo_has_the_hosts_lines_and_flags(machine: Kernel, tmp_path: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    host = os.open(tmp_path / "f", flags, 0o600)
    theirs = Path(f"/proc/self/fdinfo/{host}").read_text().splitlines()
    os.close(host)
    sys = user(machine)
    fd = sys.open("/tmp/f", flags, 0o600)
    ours = show(sys, f"/proc/self/fdinfo/{fd}").decode().splitlines()
    assert ours[:2] == theirs[:2]
    assert [line.split()[0] for line in ours] == [line.split()[0] for line in theirs]


# ---- memory ----


def test_mem_reads_and_writes_another_task(machine: Kernel) -> None:
    sys, other, stranger = user(machine), user(machine), user(machine, STRANGER)
    at = map_anonymous(other, 2)
    other.store(at + PAGE - 2, b"over")
    path = f"/proc/{other.pid}/mem"
    fd = sys.open(path, sys.O_RDWR, 0)
    assert sys.pread64(fd, 4, at + PAGE - 2) == b"over"
    assert sys.pread64(fd, PAGE, at + 2 * PAGE - 8) == bytes(8)
    sys.pwrite64(fd, b"OVER", at + PAGE - 2)
    assert other.load(at + PAGE - 2, 4) == b"OVER"
    assert outcome(lambda: sys.pread64(fd, 4, at + 2 * PAGE)) == "EIO"
    assert outcome(lambda: sys.pwrite64(fd, b"x", at + 2 * PAGE)) == "EIO"
    assert outcome(lambda: stranger.open(path, 0, 0)) == "EACCES"
    other.exit(0)
    assert outcome(lambda: sys.pread64(fd, 4, at)) == OK


def test_pagemap_shows_frames_to_root_only(machine: Kernel) -> None:
    sys = user(machine)
    at = map_anonymous(sys, 2)
    sys.store(at, b"x")
    root = Sys(machine.spawn(uid=0, gid=0))

    def words(who: Sys) -> tuple[int, ...]:
        fd = who.open(f"/proc/{sys.pid}/pagemap", who.O_RDONLY, 0)
        return struct.unpack("<2Q", who.pread64(fd, 16, at // PAGE * 8))

    assert words(sys)[0] >> 63 == 1
    assert words(sys)[0] & ((1 << 55) - 1) == 0
    pfn = words(root)[0] & ((1 << 55) - 1)
    assert words(root)[1] == 0
    counts = root.open("/proc/kpagecount", root.O_RDONLY, 0)
    flags = root.open("/proc/kpageflags", root.O_RDONLY, 0)
    assert struct.unpack("<Q", root.pread64(counts, 8, pfn * 8)) == (1,)
    word = struct.unpack("<Q", root.pread64(flags, 8, pfn * 8))[0]
    assert (word >> 12 & 1, word >> 11 & 1, word >> 10 & 1) == (1, 1, 0)  # ANON, MMAP, BUDDY
    free = int(machine.counters.nr_total) - 1  # never handed out
    assert struct.unpack("<Q", root.pread64(flags, 8, free * 8)) == (1 << 10,)
    assert len(root.pread64(counts, 1 << 20, 0)) == 8 * machine.counters.nr_total
    assert outcome(lambda: root.pread64(counts, 7, 0)) == "EINVAL"
    assert outcome(lambda: sys.open("/proc/kpagecount", 0, 0)) == "EACCES"


def test_clear_refs_forgets_what_was_referenced(machine: Kernel) -> None:
    sys = user(machine)
    at = map_anonymous(sys, 4)
    fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.ftruncate(fd, 2 * PAGE)
    of_file = sys.mmap(0, 2 * PAGE, 3, sys.MAP_SHARED, fd, 0)
    refs = sys.open("/proc/self/clear_refs", sys.O_WRONLY, 0)

    def referenced() -> tuple[int, int]:
        sys.store(of_file, b"x")
        sys.store(at, bytes(3 * PAGE))
        return kb(at), kb(of_file)

    def kb(addr: int) -> int:
        text = show(sys, "/proc/self/smaps").decode()
        entry = text[text.index(f"{addr:08x}-") :]
        return int(re.search(r"Referenced: +(\d+)", entry)[1])  # type: ignore[index]

    expected = {b"1": (0, 0), b"2": (0, 4), b"3": (12, 0), b"4": (12, 4)}
    for kind, left in expected.items():
        assert referenced() == (12, 4)
        sys.write(refs, kind)
        assert (kb(at), kb(of_file)) == left, kind
    sys.munmap(at, 4 * PAGE)
    sys.write(refs, b"5")
    status = show(sys, "/proc/self/status").decode()
    assert re.search(r"VmHWM:\s+(\d+)", status)[1] == re.search(r"VmRSS:\s+(\d+)", status)[1]  # type: ignore[index]


def test_shared_anonymous_memory_has_a_number_of_its_own(machine: Kernel) -> None:
    sys = user(machine)
    one, two = (map_anonymous(sys, 1, lib.MAP_SHARED) for _ in range(2))
    child = sys.fork()

    def line(who: Sys, addr: int) -> str:
        text = show(who, "/proc/self/maps").decode().splitlines()
        return next(one_line for one_line in text if one_line.startswith(f"{addr:x}-"))

    first = line(sys, one)
    assert re.fullmatch(rf"{one:x}-\w+ rw-s 00000000 00:01 \d+ +/dev/zero \(deleted\)", first)
    assert first.split()[4] != line(sys, two).split()[4]
    assert first == line(child, one)


def test_the_rollup_is_the_sum_of_smaps(machine: Kernel) -> None:
    sys = user(machine)
    sys.store(map_anonymous(sys, 3), bytes(2 * PAGE))
    sys.store(map_anonymous(sys, 3, lib.MAP_SHARED), bytes(PAGE))
    rollup = show(sys, "/proc/self/smaps_rollup").decode()
    smaps = show(sys, "/proc/self/smaps").decode()
    for name in ("Rss", "Pss", "Private_Dirty", "Anonymous", "Referenced"):
        total = sum(int(n) for n in re.findall(rf"^{name}: +(\d+) kB", smaps, re.M))
        assert re.search(rf"^{name}: +{total} kB", rollup, re.M), name
    host = Path("/proc/self/smaps_rollup").read_text().splitlines()
    ours = rollup.splitlines()
    names = [[re.sub(r" +\d+ kB", "", line) for line in lines[1:]] for lines in (ours, host)]
    assert without_newer_fields(names[0]) == without_newer_fields(names[1])
    assert ours[0].split()[1:] == host[0].split()[1:]
    assert ours[0].index("[rollup]") == host[0].index("[rollup]")  # whatever the address is


# ---- the machine ----


def shape(text: str) -> list[str]:
    """Return the lines of a file with numbers taken out, blanks before them too."""
    return [
        re.sub(r"-?\d+(\.\d+)?", "#", re.sub(r" +", " ", line)).strip()
        for line in text.splitlines()
    ]


def test_stat_has_the_hosts_lines(machine: Kernel) -> None:
    sys = user(machine)
    ours = show(sys, "/proc/stat").decode().splitlines()
    theirs = Path("/proc/stat").read_text().splitlines()
    theirs = [line for line in theirs if not re.match(r"cpu[1-9]", line)]
    assert [line.split()[0] for line in ours] == [line.split()[0] for line in theirs]
    assert [len(line.split()) for line in ours[:2]] == [len(line.split()) for line in theirs[:2]]
    assert len(ours[-1].split()) == len(theirs[-1].split())


@pytest.mark.parametrize("name", ["uptime", "loadavg", "self/io", "self/statm", "self/oom_score"])
def test_small_files_have_the_hosts_shape(machine: Kernel, name: str) -> None:
    ours = show(user(machine), f"/proc/{name}").decode()
    assert shape(ours) == shape(Path(f"/proc/{name}").read_text())


@pytest.mark.parametrize(
    "name", ["partitions", "swaps", "sysvipc/shm", "sysvipc/sem", "sysvipc/msg"]
)
def test_tables_have_the_hosts_head(name: str) -> None:
    with Kernel(ram="16M", swap="4M") as kernel:
        ours = show(user(kernel), f"/proc/{name}").decode().splitlines()
    assert ours[0] == Path(f"/proc/{name}").read_text().splitlines()[0]


def test_cpuinfo_is_laid_out_as_the_hosts(machine: Kernel) -> None:
    def names(text: str) -> list[str]:
        return [line.split(":")[0] for line in text.split("\n\n")[0].splitlines()]

    ours = names(show(user(machine), "/proc/cpuinfo").decode())
    theirs = names(Path("/proc/cpuinfo").read_text())
    assert [name for name in theirs if name in ours] == ours


def test_mounts_are_described_alike(machine: Kernel) -> None:
    sys = user(machine)
    for line in show(sys, "/proc/mounts").decode().splitlines():
        assert re.fullmatch(r"\S+ /\S* \S+ r[ow],\S+ 0 0", line)
    numbers = {}
    for line in show(sys, "/proc/self/mountinfo").decode().splitlines():
        found = re.fullmatch(r"(\d+) (\d+) (\d+):(\d+) / (/\S*) r[ow],\S+ - \S+ \S+ r[ow]\S*", line)
        assert found, line
        numbers[found[5]] = (int(found[1]), int(found[2]))
        assert sys.stat(found[5]).st_dev == int(found[3]) << 8 | int(found[4])
    assert numbers["/dev/shm"][1] == numbers["/dev"][0]
    assert numbers["/dev"][1] == numbers["/"][0]


def test_free_memory_is_split_into_blocks(machine: Kernel) -> None:
    line = show(user(machine), "/proc/buddyinfo").decode()
    found = re.fullmatch(r"Node 0, zone   Normal ((?: *\d+ ){11})\n", line)
    assert found
    total = sum(int(n) << order for order, n in enumerate(found[1].split()))
    assert total == sum(nr << order for order, nr in enumerate(free_blocks(machine.memory, 0)))
    assert total == machine.counters.nr_free


def test_locks_are_listed_as_the_host_lists_them(machine: Kernel) -> None:
    sys = user(machine)
    fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.flock(fd, 2)
    at = map_anonymous(sys, 1)
    sys.store(at, struct.pack("<hh4xqqi4x", 1, 0, 10, 5, 0))
    sys.syscall(72, fd, 6, at)
    place = f"00:{sys.fstat(fd).st_dev:02x}:{sys.fstat(fd).st_ino}"
    assert show(sys, "/proc/locks").decode().splitlines() == [
        f"1: FLOCK  ADVISORY  WRITE {sys.pid} {place} 0 EOF",
        f"2: POSIX  ADVISORY  WRITE {sys.pid} {place} 10 14",
    ]


def test_kmsg_hands_each_line_to_one_reader(machine: Kernel) -> None:
    root = Sys(machine.spawn(uid=0, gid=0))
    fd = root.open("/proc/kmsg", root.O_RDONLY, 0)
    assert re.match(rb"<6>\[ +0\.000000\] pkern: ", root.read(fd, 1 << 16))
    assert outcome(lambda: root.read(fd, 100)) == "EAGAIN"
    assert outcome(lambda: user(machine).open("/proc/kmsg", 0, 0)) == "EACCES"


def test_io_counts_calls_and_bytes(machine: Kernel) -> None:
    sys = user(machine)
    fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.write(fd, b"12345")
    sys.pread64(fd, 3, 0)
    text = show(sys, "/proc/self/io").decode()
    assert text.splitlines()[:4] == ["rchar: 3", "wchar: 5", "syscr: 1", "syscw: 1"]


def test_status_shows_credentials_and_signals(machine: Kernel) -> None:
    root = Sys(machine.spawn(uid=0, gid=0))
    root.setgroups([7, 5])
    root.setresuid(1, 2, 3)
    status = show(root, "/proc/self/status").decode()
    assert "\nUid:\t1\t2\t3\t2\n" in status
    assert "\nGroups:\t5 7 \n" in status
    assert f"\nCapBnd:\t{(1 << len(ALL_CAPS)) - 1:016x}\n" in status
    assert "\nCapEff:\t0000000000000000\n" in status


def test_nothing_leaks_from_reading_everything(machine: Kernel) -> None:
    root = Sys(machine.spawn(uid=0, gid=0))

    def visit(path: str) -> int:
        found = 0
        for name in root.listdir(path):
            below = f"{path}/{name}"
            kind = root.lstat(below).st_mode & 0o170000
            if kind == 0o040000 and name not in ("sys", "attr"):  # labels: there are none
                found += visit(below)
            elif kind == 0o100000 and name not in ("mem", "kmsg", "pagemap", "mm", "clear_refs"):
                found += len(show(root, below)) >= 0
        return found

    assert visit("/proc") > 60
    info = ffi.new("struct page_info *")
    assert lib.machine_page_info(machine.core, 0, info) == 0


def test_the_directories_of_those_who_are_gone_leave_nothing_for_a_collection() -> None:
    """Some entries know their directory, which knows its task: nothing of it may stay by that."""
    names = ("status", "fd/0", "ns/pid", "net/tcp", "task/{}/stat", "task/{}/children", "attr")
    with Kernel(ram="64M") as kernel:
        sys = Sys(kernel.spawn(uid=0, gid=0))
        gc.collect()
        for _ in range(SPARE_DIRS + 16):
            child = sys.fork()
            for name in names:
                with suppress(OSError):
                    sys.close(sys.open(f"/proc/{child.pid}/{name.format(child.pid)}", 0))
            child.exit(0)
            sys.wait4(-1, 0)
        del child
        assert gc.collect() == 0


@pytest.mark.skipif(not ROOT, reason="only root reads the host's")
@pytest.mark.parametrize(("name", "lines"), [("slabinfo", 2), ("pagetypeinfo", 2)])
def test_heads_of_tables_of_memory_are_the_host_s(machine: Kernel, name: str, lines: int) -> None:
    here = show(user(machine, 0), f"/proc/{name}").splitlines()
    assert here[:lines] == Path(f"/proc/{name}").read_bytes().splitlines()[:lines]
    assert len(here) > lines


def test_slabinfo_counts_the_core_s_own_objects(machine: Kernel) -> None:
    sys = user(machine, 0)

    def areas() -> tuple[int, int]:
        rows = [line.split() for line in show(sys, "/proc/slabinfo").decode().splitlines()]
        (row,) = [row for row in rows if row[0] == "vm_area_struct"]
        return int(row[1]), int(row[2])

    used, _ = areas()
    at = map_anonymous(sys, 200)
    for page in range(0, 200, 2):
        sys.mprotect(at + page * PAGE, PAGE, sys.PROT_READ)
    more, room = areas()
    assert more == used + 200 <= room
    sys.munmap(at, 200 * PAGE)
    assert areas()[0] == used
