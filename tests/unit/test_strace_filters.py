"""What strace's -e expressions select, in strace's own words; a Python program's lines."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pkern.kernel.errors import SegmentationFault, TaskKilled
from pkern.kernel.wait import Restart
from pkern.syscalls.numbers import NAMES, NUMBERS
from pkern.syscalls.strace.classes import CLASSES
from pkern.syscalls.strace.filters import CALLS, SIGNALS, BadFilter, parse
from pkern.syscalls.strace.python_calls import SHAPES, Values, shape_of
from pkern.syscalls.strace.tracer import RESTARTS, Output, Stamp, Style, Tracer
from pkern.syscalls.table import TABLE
from pkern.userland.binding import handlers
from pkern.userland.program import Sys, run_program
from tests.commands import SECONDS

LATER = {  # than strace 6.1, and what a seccomp filter cannot refuse
    "cachestat", "fchmodat2", "map_shadow_stack", "mseal", "setxattrat", "getxattrat",
    "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr",
}  # fmt: skip
EVERY_CALL = Path(__file__).parents[1] / "system/elf/calls/everycall.c"


def test_names_classes_numbers_and_expressions():
    assert parse(["mmap,munmap"]).calls == {"mmap", "munmap"}
    assert parse(["trace=%memory"]).calls == CLASSES["%memory"] == parse(["t=memory"]).calls
    assert parse(["trace=!mmap"]).calls == CALLS - {"mmap"}
    assert parse(["trace=!%file,%desc"]).calls == CALLS - CLASSES["%file"] - CLASSES["%desc"]
    assert parse(["trace=/^m(un)?map$"]).calls == {"mmap", "munmap"}
    assert parse(["trace=9"]).calls == {"mmap"}
    assert parse(["trace=none"]).calls == frozenset()
    assert parse(["trace=!none"]).calls == CALLS == parse(["trace=all"]).calls == parse([]).calls
    assert parse(["trace=?no_such_call,mmap"]).calls == {"mmap"}
    assert parse(["trace=signal"]).calls == CLASSES["%signal"]


def test_who_has_ended_makes_no_calls_that_are_shown(kernel):
    lines: list[str] = []
    sys = Sys(kernel.spawn("prog"))
    sys.strace(lines.append)
    ended, killed = sys.fork(), sys.fork()
    ended.exit(3)
    sys.kill(killed.task.pid, 9)
    for child in (ended, killed):
        for _ in range(2):
            with pytest.raises(TaskKilled):
                child.syscall(NUMBERS["getpid"])
            with pytest.raises(TaskKilled):
                child.open("/x", 0)
    assert [line.split("] ", 1)[-1] for line in lines[2:]] == [
        "exit_group(3)               = ?",
        "+++ exited with 3 +++",
        f"kill({killed.task.pid}, SIGKILL)            = 0",
        "+++ killed by SIGKILL +++",
    ]


def test_signals_and_statuses():
    assert parse(["signal=SIGSEGV,int"]).signals == {11, 2}
    assert parse(["signal=!segv"]).signals == SIGNALS - {11}
    assert parse(["status=failed"]).shows_result(-2)
    assert not parse(["status=failed"]).shows_result(0)
    assert not parse(["status=!unfinished"]).shows_result(None)
    both = parse(["mmap", "signal=none"])
    assert (both.calls, both.signals) == ({"mmap"}, frozenset())


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("trace=mmmap", r"invalid system call 'mmmap'; did you mean mmap\?"),
        ("trce=mmap", r"did you mean trace\?"),
        ("signal=SEGB", r"invalid signal 'SEGB'; did you mean SIGSEGV\?"),
        ("status=sucessful", r"did you mean successful\?"),
        ("trace=%memry", r"invalid system call '%memry'; did you mean %memory\?"),
        ("trace=%zzz", r"invalid system call '%zzz' \(classes: .*%memory"),
        ("trace=mmap,", "lacks a name"),
        ("trace=/(", "no regular expression"),
        ("trace=/^nothing$", "no system call's name matches"),
        ("signal=SIGFOO", "invalid signal 'SIGFOO'"),
        ("status=good", "invalid status 'good'"),
        ("inject=mmap:error=EIO", "not 'inject='"),
    ],
)
def test_what_strace_would_refuse(expression, complaint):
    with pytest.raises(BadFilter, match=complaint):
        parse([expression])


def test_classes_name_calls_of_linux():
    assert all(members <= set(NAMES.values()) for members in CLASSES.values())


@pytest.mark.skipif(
    not (shutil.which("strace") and shutil.which("gcc")), reason="needs strace and gcc"
)
def test_classes_are_strace_s_own(tmp_path):
    program, log = tmp_path / "every", tmp_path / "log"
    flags = ["-O1", "-w", "-static", "-nostdlib"]
    subprocess.run(["gcc", *flags, "-o", program, EVERY_CALL], check=True)

    def traced(expression: str) -> set[str]:
        command = ["strace", "-o", log, "-e", f"trace={expression}", program]
        subprocess.run(command, check=False, capture_output=True, timeout=SECONDS)
        return {line.split("(")[0] for line in log.read_text().splitlines() if "(" in line}

    known = {name for name in traced("all") if not name.startswith("syscall_")}
    if not known:
        pytest.skip("this host's strace may not trace")
    for name, members in CLASSES.items():
        theirs = traced(name) & known
        assert members & known - {"exit_group"} == theirs - {"exit_group"}, name
        assert members - known <= LATER, name


# ---- programs in Python ----


def test_every_python_form_has_a_shape():
    tables = {call.name: call.handler for call in TABLE.values()}
    own = {name for name, form in handlers().items() if tables.get(name) is not form}
    without = own - set(SHAPES) - {"listdir"}
    assert not without, "strace cannot show these calls of a Python program"


def test_a_python_program_s_lines_are_strace_s(kernel):
    lines = []

    def main(sys):
        fd = sys.open("/tmp/data", sys.O_RDWR | sys.O_CREAT, 0o600)
        sys.write(fd, b"A" * 40 + b"\1")
        sys.pread64(fd, 10, pos=0)
        with pytest.raises(OSError):
            sys.read(99, 10)
        sys.fstat(fd)
        at = sys.mmap(0, 8192, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)
        sys.pipe2(sys.O_CLOEXEC)
        sys.nanosleep(1_500_000_000)
        child = sys.fork()
        child.write(fd, b"child")
        child.exit(3)
        sys.wait4()
        sys.syscall(39)
        sys.syscall(1000, 1)
        sys.send(sys.socketpair(1, 1, 0)[0], b"hello")
        with pytest.raises(OSError):
            sys.mmap(0, 1, 0, sys.MAP_HUGETLB | 1 << 24 | 30 << 26)
        with pytest.raises(OSError):
            sys.shmget(0, 1, sys.SHM_HUGETLB | 0o600 | 30 << 26)
        with pytest.raises(OSError):
            sys.memfd_create("of no kind", 30 << 26)
        sys.store(at, b"x")

    assert run_program(kernel, main, ["program"], tracer=Tracer(lines.append)) == 139
    at = lines[5].rpartition(" ")[2]
    assert lines == [
        'open("/tmp/data", O_RDWR|O_CREAT, 0600) = 0',
        'write(0, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"..., 41) = 41',
        'pread64(0, "AAAAAAAAAA", 10, 0)         = 10',
        "read(99, 0x8000000000000000, 10)        = -1 EBADF (Bad file descriptor)",
        "fstat(0, {st_mode=S_IFREG|0600, st_size=41, ...}) = 0",
        f"mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = {at}",
        "pipe2([1, 2], O_CLOEXEC)                = 0",
        "nanosleep({tv_sec=1, tv_nsec=500000000}, NULL) = 0",
        "fork()                                  = 2",
        '[pid     2] write(0, "child", 5)        = 5',
        "[pid     2] exit_group(3)               = ?",
        "[pid     2] +++ exited with 3 +++",
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 2",
        "getpid()                                = 1",
        "syscall_0x3e8(0x1, 0, 0, 0, 0, 0)       = -1 ENOSYS (Function not implemented)",
        "socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0",
        'sendto(3, "hello", 5, 0, NULL, 0)       = 5',
        "mmap(NULL, 1, PROT_NONE, MAP_FILE|MAP_HUGETLB|0x1000000|30<<MAP_HUGE_SHIFT, -1, 0) = "
        "-1 EBADF (Bad file descriptor)",
        "shmget(IPC_PRIVATE, 1, SHM_HUGETLB|30<<SHM_HUGE_SHIFT|0600) = "
        "-1 EPERM (Operation not permitted)",
        'memfd_create("of no kind", 30<<MFD_HUGE_SHIFT) = -1 EINVAL (Invalid argument)',
        f"--- SIGSEGV {{si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr={at}}} ---",
        "+++ killed by SIGSEGV +++",
    ]


def test_filters_stamps_and_counts(kernel):
    def main(sys):
        for _ in range(3):
            sys.getpid()
        sys.nanosleep(2_500_000_000)
        with pytest.raises(OSError):
            sys.close(99)

    lines = []
    style = Style(parse(["close"]), Stamp.SECONDS)
    assert run_program(kernel, main, ["program"], tracer=Tracer(lines.append, style)) == 0
    assert lines == [
        "00:00:02 close(99)                      = -1 EBADF (Bad file descriptor)",
        "00:00:02 +++ exited with 0 +++",
    ]
    tracer = Tracer(lines.append, Style(output=Output.SUMMARY))
    run_program(kernel, main, ["program"], tracer=tracer)
    assert len(lines) == 2
    assert tracer.summary() == [
        "% time     seconds  usecs/call     calls    errors syscall",
        "------ ----------- ----------- --------- --------- ----------------",
        " 60.00   0.0000030         1.0         3           getpid",
        " 20.00   0.0000010         1.0         1         1 close",
        " 20.00   0.0000010         1.0         1           nanosleep",
        "------ ----------- ----------- --------- --------- ----------------",
        "100.00   0.0000050         1.0         5         1 total",
    ]


def test_wrong_values_are_the_call_s_to_refuse(kernel):
    lines = []
    sys = Sys(kernel.spawn())
    sys.strace(lines.append)
    with pytest.raises(TypeError):
        sys.mmap(0)
    assert shape_of("open", Values(sys.task.mm), (1, 2, 3)) is None
    with pytest.raises(SegmentationFault):
        sys.load(8, 1)
    assert lines == ["--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8} ---"]


def test_every_end_of_an_interrupted_call_has_words() -> None:
    assert set(RESTARTS) == set(Restart)
