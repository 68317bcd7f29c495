"""Core files: as the host's, read by its debugger, and never the machine's end."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.registers.userregs import USER_REGS
from pkern.kernel.tasks.task import Task
from pkern.userland.machine_code import captured, put_program, spawn_program
from tests.commands import SECONDS
from tests.system.conftest import Compile, Machine, same_as_host

MIB = 1 << 20
DUMPED = 0x80
SIGSEGV, SIGABRT = 11, 6
CORE = "/tmp/core"
DEBUG = ("-g", "-O0")


def hosts_pattern() -> str:
    """Return what the host makes of a core file: its pattern, and the pid if it is in the name."""
    texts = [
        Path(f"/proc/sys/kernel/{name}").read_text() for name in ("core_pattern", "core_uses_pid")
    ]
    return " ".join(text.strip() for text in texts)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that is the working directory during the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(hosts_pattern() != "core 0", reason="the host's core files go elsewhere")
@pytest.mark.parametrize("flavour", ["musl", "glibc"])
def test_what_is_in_a_core_file_as_on_the_host(
    compile_c: Compile, machine: Machine, flavour: str, tmp_path: Path
) -> None:
    program = compile_c("coredump", flavour)
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def crash(
    kernel: Kernel, program: Path, *arguments: str, uid: int = 1000, env: Sequence[str] = ()
) -> Task:
    """Run a program in /tmp to its end."""
    put_program(kernel, program, str(program))
    stdio = captured(kernel, b"", lambda data: None, lambda data: None)
    environment = dict.fromkeys(env, "1")
    argv = [str(program), *arguments]
    task = spawn_program(kernel, argv[0], argv, stdio=stdio, uid=uid, cwd="/tmp", env=environment)
    assert kernel.scheduler is not None
    kernel.scheduler.run(task)
    return task


def content(kernel: Kernel, path: str) -> bytes:
    """Return the bytes of a file of the machine. Errors: ENOENT."""
    assert kernel.tasks.init is not None
    inode = kernel.vfs.resolve(kernel.tasks.init, path)
    return inode.read(0, inode.size)


def log_of(kernel: Kernel) -> str:
    """Return the kernel's log as one text."""
    return "\n".join(kernel.log.lines())


# ---- a real debugger ----


def gdb(program: Path, core: Path, *commands: str) -> str:
    """Return what gdb says of a core file."""
    if shutil.which("gdb") is None:
        pytest.skip("needs gdb")
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", *words, program, core],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    # This gdb knows one place of PKRU only, that of processors with AVX-512.
    assert [line for line in warnings if ".reg-xstate/" not in line] == []
    return done.stdout


@pytest.mark.parametrize("cpu", ["", "pku"])
def test_gdb_reads_registers_stack_and_maps(compile_c: Compile, here: Path, cpu: str) -> None:
    program = compile_c("crasher", "glibc", *DEBUG)
    with Kernel("64M", cpu=cpu) as kernel:
        assert crash(kernel, program).exit_status == SIGSEGV | DUMPED
        (here / "core").write_bytes(content(kernel, CORE))
        kernel.check()
    said = gdb(
        program, here / "core", "bt", "p global", "p/x $r12", "p $xmm5.v2_double[0]", "p $st0",
        "p $_siginfo.si_signo", "p/x $_siginfo._sifields._sigfault.si_addr", "info auxv",
        "info proc mappings", "frame 5", "x/2xb heap", "x/2xb heap + 4096 * 3", "frame 0",
        "p local",
    )  # fmt: skip
    assert "Program terminated with signal SIGSEGV" in said
    frames = [line for line in said.splitlines() if line.startswith("#")]
    assert [line.split(" (")[0].split()[-1] for line in frames[1:7]] == [
        *["innermost"], *["recurse"] * 4, "main",
    ]  # fmt: skip
    for text in (
        "$1 = 42", "$2 = 0x1234567890abcdef", "$3 = 0.5", "$4 = 3.14159265358979", "$5 = 11",
        "$6 = 0x1008", "AT_EXECFN            File name of executable", str(program),
        "0x01\t0x01", "0x03\t0x03", '"local text"',
    ):  # fmt: skip
        assert text in said, text


THREADS = r"""
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
static void *sleeper(void *n) { pause(); return n; }
static void *spinner(void *n) { for (;;); return n; }
static void *crash(void *n) { usleep(100000); *(volatile int *)16 = 1; return n; }
int main(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_t t;
	setrlimit(RLIMIT_CORE, &all);
	pthread_create(&t, 0, sleeper, 0);
	pthread_create(&t, 0, spinner, 0);
	pthread_create(&t, 0, crash, 0);
	pthread_join(t, 0);
}
"""


@pytest.mark.parametrize("way", ["core", "|/sbin/reader /tmp %p"])
def test_each_thread_is_in_the_file(compile_c: Compile, here: Path, way: str) -> None:
    program = compile_c(THREADS, "glibc", *DEBUG)
    with Kernel("64M") as kernel:
        put_program(kernel, compile_c("corereader", "musl"), "/sbin/reader")
        kernel.sysctl["kernel.core_pattern"] = way
        assert crash(kernel, program).group.exit_status == SIGSEGV | DUMPED
        assert kernel.scheduler is not None
        kernel.scheduler.run_until(lambda: not kernel.scheduler.queue)  # type: ignore[union-attr]
        (here / "core").write_bytes(content(kernel, CORE))
        kernel.check()
    said = gdb(program, here / "core", "info threads", "thread apply all bt")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("* 1")] == ["1"]
    for text in ("crash (n=0x0)", "pause ()", "spinner (n=0x0)", "main () at"):
        assert text in said, text


SLEEPERS = r"""
#define _GNU_SOURCE
#include "asleep.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
static int ends[2];
static sem_t never;
static void *pauses(void *n) { pause(); return n; }
static void *reads(void *n) { char c; return read(ends[0], &c, 1) ? n : 0; }
static void *polls(void *n) { struct pollfd p = { ends[0], POLLIN, 0 }; poll(&p, 1, -1); return n; }
static void *sleeps(void *n) { sleep(99); return n; }
static void *waits(void *n) { sem_wait(&never); return n; }
static void *suspends(void *n) { sigset_t none; sigemptyset(&none); sigsuspend(&none); return n; }
static void *(*const all[])(void *) = { pauses, reads, polls, sleeps, waits, suspends };
static const long calls[] = {
	SYS_pause, SYS_read, SYS_poll, SYS_clock_nanosleep, SYS_futex, SYS_rt_sigsuspend
};
int main(void)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_t t;
	setrlimit(RLIMIT_CORE, &core);
	pipe(ends);
	sem_init(&never, 0, 0);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		pthread_create(&t, 0, all[i], 0);
		until_in(tid_of(t), calls[i]);
	}
	*(volatile int *)16 = 1;
}
"""


def threads_of(core: Path) -> list[tuple[int, int, bool, bool]]:
    """Return each thread's call and result, and whether rcx and r11 are as the call leaves them."""
    with core.open("rb") as opened:
        (segment,) = ELFFile(opened).iter_segments("PT_NOTE")
        notes = [
            note["n_descdata"] for note in segment.iter_notes() if note["n_type"] == "NT_PRSTATUS"
        ]
    all_regs = [
        dict(zip(USER_REGS, struct.unpack_from("<27q", note, 112), strict=True)) for note in notes
    ]
    return [
        (regs["orig_rax"], regs["rax"], regs["rcx"] == regs["rip"], regs["r11"] == regs["eflags"])
        for regs in all_regs
    ]


@pytest.mark.skipif(hosts_pattern() != "core 0", reason="the host's core files go elsewhere")
def test_registers_of_threads_that_sleep_as_on_the_host(compile_c: Compile, here: Path) -> None:
    program = compile_c(SLEEPERS, "glibc")
    with Kernel("64M") as kernel:
        assert crash(kernel, program).exit_status == SIGSEGV | DUMPED
        (here / "machine").write_bytes(content(kernel, CORE))
        kernel.check()
    assert subprocess.run([program], check=False).returncode == -SIGSEGV
    in_machine, on_host = threads_of(here / "machine"), threads_of(here / "core")
    assert len(on_host) == 7
    assert sorted(in_machine[1:]) == sorted(on_host[1:])


def test_swapped_memory_comes_back_into_the_file(compile_c: Compile, here: Path) -> None:
    """Its RAM holds not even what the program stored: most of it comes from swap."""
    program = compile_c("crasher", "glibc", *DEBUG)
    with Kernel("1M", swap="16M") as kernel:
        disk = here / "disk"
        disk.mkdir()
        from pkern.kernel.vfs.fs.hostfs import Access, HostFs

        kernel.vfs.mount("/disk", HostFs(disk, Access.READ_WRITE))
        shutil.copy(program, disk / "crasher")
        stdio = captured(kernel, b"", lambda data: None, lambda data: None)
        uid = os.getuid()  # whose the core file is on the host, and so in the machine
        task = spawn_program(
            kernel, "/disk/crasher", ["crasher"], stdio=stdio, uid=uid, cwd="/disk"
        )
        assert kernel.scheduler is not None
        kernel.scheduler.run(task)
        assert task.exit_status == SIGSEGV | DUMPED
        assert kernel.counters.pswpin > 0
        kernel.check()
    said = gdb(
        program, disk / "core", "frame 5", *(f"x/1xb heap + {4096 * n}" for n in (1, 100, 255))
    )
    assert [line.split("\t")[-1] for line in said.splitlines() if line.startswith("0x")] == [
        "0x01", "0x65", "0xff",
    ]  # fmt: skip


# ---- names ----


@pytest.mark.parametrize(
    ("pattern", "uses_pid", "name"),
    [
        ("core", 1, "/tmp/core.2"),
        ("%p.core", 1, "/tmp/2.core"),
        ("%%p", 1, "/tmp/%p.2"),
        ("c-%e-%s-%u-%g-%d-%c-%C-%i%I%P-%h%q%", 0, "/tmp/c-prog-11-1000-1000-1-4096000-0-222-box"),
        ("/var/%E", 0, "/var/!tmp!dir!prog"),
        ("/var/%f/x", 0, None),
        ("%t", 0, "/tmp/1167609600"),
    ],
)
def test_the_name_is_the_patterns(
    compile_c: Compile, pattern: str, uses_pid: int, name: str | None
) -> None:
    source = compile_c("crasher", "musl")
    with Kernel("64M", hostname="box") as kernel:
        kernel.sysctl["kernel.core_pattern"] = pattern
        kernel.sysctl["kernel.core_uses_pid"] = uses_pid
        put_program(kernel, source, "/tmp/dir/prog")
        put_program(kernel, source, "/var/other")
        assert kernel.tasks.init is not None
        kernel.vfs.resolve(kernel.tasks.init, "/var").mode = 0o777
        stdio = captured(kernel, b"", lambda data: None, lambda data: None)
        limits = {"core": 4096000}
        task = spawn_program(
            kernel, "/tmp/dir/prog", ["prog"], stdio=stdio, uid=1000, cwd="/tmp", limits=limits,
            env={"KEEP_LIMIT": "1"},
        )  # fmt: skip
        assert kernel.scheduler is not None
        kernel.scheduler.run(task)
        assert task.exit_status == SIGSEGV | (DUMPED if name else 0)
        if name:
            if "%t" in pattern:
                name = f"/tmp/{kernel.clock.realtime_ns // 10**9}"
            assert content(kernel, name).startswith(b"\x7fELF")


# ---- who may not be looked at ----


@pytest.mark.parametrize(
    ("mode", "pattern", "status", "owner"),
    [
        (0, "/tmp/core", SIGSEGV, None),
        (1, "/tmp/core", SIGSEGV | DUMPED, 1000),
        (2, "/tmp/core", SIGSEGV | DUMPED, 0),
        (2, "core", SIGSEGV, None),
    ],
)
def test_a_task_that_changed_its_user_dumps_as_suid_dumpable_says(
    compile_c: Compile, mode: int, pattern: str, status: int, owner: int | None
) -> None:
    program = compile_c("crasher", "musl")
    with Kernel("64M") as kernel:
        kernel.sysctl["fs.suid_dumpable"] = mode
        kernel.sysctl["kernel.core_pattern"] = pattern
        assert crash(kernel, program, "setuid", uid=0).exit_status == status
        assert kernel.tasks.init is not None
        if owner is None:
            with pytest.raises(FileNotFoundError):
                kernel.vfs.resolve(kernel.tasks.init, CORE)
        else:
            inode = kernel.vfs.resolve(kernel.tasks.init, CORE)
            assert (inode.uid, inode.mode) == (owner, 0o600)
        assert ("fully qualified path" in log_of(kernel)) == (pattern == "core")


def test_roots_core_file_is_never_put_over_another_ones(compile_c: Compile) -> None:
    program = compile_c("crasher", "musl")
    with Kernel("64M") as kernel:
        kernel.sysctl["fs.suid_dumpable"] = 2
        kernel.sysctl["kernel.core_pattern"] = CORE
        put_program(kernel, program, CORE)
        assert crash(kernel, program, "setuid", uid=0).exit_status == SIGSEGV
        assert content(kernel, CORE) == program.read_bytes()


# ---- programs that read them ----


def pipe_to(kernel: Kernel, compile_c: Compile, *words: str, limit: int = 0) -> None:
    """Let core files go to the reader."""
    put_program(kernel, compile_c("corereader", "musl"), "/sbin/reader")
    kernel.sysctl["kernel.core_pattern"] = " ".join(("|/sbin/reader", *words))
    kernel.sysctl["kernel.core_pipe_limit"] = limit


@pytest.mark.parametrize("limit", [0, 1])
def test_a_program_reads_the_whole_core_file(compile_c: Compile, here: Path, limit: int) -> None:
    program = compile_c("crasher", "glibc", *DEBUG)
    with Kernel("64M") as kernel:
        pipe_to(kernel, compile_c, "/tmp", "%p", "a-%e-b", "%s", "%c", limit=limit)
        task = crash(kernel, program, env=["KEEP_LIMIT"])  # which counts for nothing here
        assert task.exit_status == SIGSEGV | DUMPED
        assert kernel.scheduler is not None
        kernel.scheduler.run_until(lambda: not kernel.scheduler.queue)  # type: ignore[union-attr]
        (here / "core").write_bytes(content(kernel, CORE))
        told = content(kernel, "/tmp/told").decode()
        name = program.name
        # It may look at the dying task if that waits for it, else it is up to chance.
        waits = f"[{task.pid}][a-{name}-b][11][0]\nuid 0 cwd / limit 1 more 0 dumping 0\n"
        assert told == waits if limit else told.startswith(waits[:-2])
        kernel.check()
    assert "recurse" in gdb(program, here / "core", "bt")


def test_a_program_that_reads_no_more_ends_the_core_file_only(compile_c: Compile) -> None:
    with Kernel("64M") as kernel:
        pipe_to(kernel, compile_c, "/tmp", "short")
        task = crash(kernel, compile_c("crasher", "musl"))
        assert task.exit_status == SIGSEGV | DUMPED
        assert 0 < len(content(kernel, CORE)) <= 65536


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("|/sbin/absent %p", "|/sbin/absent pipe failed"),
        ("|", "| pipe failed"),
        ("|/tmp", "|/tmp pipe failed"),
    ],
)
def test_a_program_that_cannot_start_is_told_to_the_log(
    compile_c: Compile, pattern: str, complaint: str
) -> None:
    with Kernel("64M") as kernel:
        kernel.sysctl["kernel.core_pattern"] = pattern
        assert crash(kernel, compile_c("crasher", "musl")).exit_status == SIGSEGV
        assert complaint in log_of(kernel)
        kernel.check()


def test_the_readers_own_end_leaves_no_core_file(compile_c: Compile) -> None:
    """It starts with RLIMIT_CORE 1, which no program that dumps to a program may have."""
    with Kernel("64M") as kernel:
        put_program(kernel, compile_c("crasher", "musl"), "/sbin/reader")
        kernel.sysctl["kernel.core_pattern"] = "|/sbin/reader"
        assert kernel.tasks.init is not None
        source = "int main(void) { *(volatile int *)8 = 1; }\n"
        put_program(kernel, compile_c(source, "musl"), "/sbin/reader")
        crash(kernel, compile_c("crasher", "musl"))
        assert kernel.scheduler is not None
        kernel.scheduler.run_until(lambda: not kernel.scheduler.queue)  # type: ignore[union-attr]
        assert "RLIMIT_CORE is set to 1, aborting core" in log_of(kernel)


# ---- what fails on the way ----


@pytest.mark.parametrize("pipe", [False, True])
def test_failed_allocations_shorten_the_core_file_and_nothing_else(
    compile_c: Compile, pipe: bool
) -> None:
    program = compile_c("crasher", "musl")
    cut = nth = 0
    while True:
        nth += 1 if nth < 40 else 17
        with Kernel("16M") as kernel:
            if pipe:
                pipe_to(kernel, compile_c, "/tmp", "x")
            task = start_failing(kernel, program, nth)
            assert kernel.scheduler is not None
            kernel.scheduler.run(task)
            pending = kernel.fail_pending
            kernel.fail_nth(0)
            assert (task.exit_status or 0) & 0x7F in (SIGSEGV, 9)
            try:
                cut += len(content(kernel, CORE)) < MIB
            except SyscallError:
                cut += 1
            kernel.check()
        if pending:
            break
    assert cut > 1


def start_failing(kernel: Kernel, program: Path, nth: int) -> Task:
    """Return a task whose nth allocation after its fault will fail."""
    put_program(kernel, program, str(program))
    stdio = captured(kernel, b"", lambda data: None, lambda data: None)
    task = spawn_program(kernel, str(program), [str(program)], stdio=stdio, uid=0, cwd="/tmp")
    assert kernel.scheduler is not None
    delivery = kernel.scheduler.delivery
    deliver = delivery.deliver

    def failing(*args: object) -> None:
        kernel.fail_nth(nth)
        deliver(*args)  # type: ignore[arg-type]

    delivery.deliver = failing  # type: ignore[method-assign]
    return task


def test_a_full_file_system_shortens_the_core_file(compile_c: Compile) -> None:
    from pkern.kernel.vfs.fs.tmpfs import TmpFs

    with Kernel("64M") as kernel:
        small = TmpFs(kernel)
        small.quota.max = 10
        kernel.vfs.mount("/small", small)
        stdio = captured(kernel, b"", lambda data: None, lambda data: None)
        program = compile_c("crasher", "musl")
        put_program(kernel, program, "/bin/crasher")
        task = spawn_program(kernel, "/bin/crasher", ["x"], stdio=stdio, uid=0, cwd="/small")
        assert kernel.scheduler is not None
        kernel.scheduler.run(task)
        assert task.exit_status == SIGSEGV | DUMPED
        assert 0 < len(content(kernel, "/small/core")) < MIB
        kernel.check()


def test_the_end_is_told_with_the_core_file(
    compile_c: Compile, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pkern.userland.cli.main import main

    program = compile_c("crasher", "musl")
    assert main(["run", "--uid", "0", str(program)]) == 128 + SIGSEGV
    said = capfd.readouterr().err
    where = r"at \w+\+0x[0-9a-f]+ \(core dumped\)"
    assert re.fullmatch(rf"{program}: ended by SIGSEGV {where}; --dmesg shows where\n", said)
