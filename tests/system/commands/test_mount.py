"""The machine's files on the host, by FUSE: the host's own tools read and change a live machine.

The host needs FUSE (/dev/fuse, libfuse 3), which containers often lack; tests/host.py says so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import secrets
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.commands import SECONDS, pkern
from tests.system.conftest import Compile

PKERN = [sys.executable, "-m", "pkern"]
GONE = (errno.ENOTCONN, errno.ECONNABORTED)
# Works until the host makes /tmp/stop: a task to look at, for as long as a test needs one. With an
# argument it waits for input instead, which takes no time of a processor.
WAITS = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char *memory = malloc(1 << 20);
	memset(memory, 7, 1 << 20);
	puts("begun");
	fflush(stdout);
	if (argc > 1)
		return getchar();
	for (volatile int i = 0; access("/tmp/stop", F_OK); i++)
		memory[i % (1 << 20)]++;
	puts("ended");
	return 0;
}
"""


def mounted(directory: Path) -> bool:
    """Tell whether something is mounted there, be it dead."""
    return f" {directory} " in Path("/proc/self/mounts").read_text()


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait for what another process brings about, however slow the host is."""
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def machine(directory: Path, *command: object, **options: object) -> Iterator[subprocess.Popen]:
    """Run pkern with its files in a directory, for a while."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    done = subprocess.Popen(
        [*PKERN, *map(str, command)],
        text=True,
        **{**streams, **options},  # type: ignore[call-overload]
    )
    try:
        wait_until(lambda: mounted(directory) or done.poll() is not None)
        yield done
    finally:
        if done.poll() is None:
            done.kill()
        done.communicate()
        if mounted(directory):
            subprocess.run(["umount", "-l", directory], check=True)


@contextlib.contextmanager
def open_to_all() -> Iterator[Path]:
    """A directory that every user of the host can come to, and that pytest leaves alone."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        shown = Path(made) / "machine"
        shown.mkdir()
        yield shown


@pytest.fixture
def directory() -> Iterator[Path]:
    """Such a directory."""
    with open_to_all() as shown:
        yield shown


@contextlib.contextmanager
def running(directory: Path, *command: object) -> Iterator[subprocess.Popen]:
    """A machine in the directory that runs WAITS, which has begun."""
    with machine(directory, "run", "--uid", 1234, "--mount", directory, *command) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        yield run


@pytest.fixture
def waiting(directory: Path, compile_c: Compile) -> Iterator[subprocess.Popen]:
    """A machine in the directory, that runs a program until it finds /tmp/stop."""
    with running(directory, compile_c(WAITS)) as run:
        yield run


@pytest.fixture(scope="module")
def looked_at(compile_c: Compile) -> Iterator[Path]:
    """Where a machine is shown to all tests that only look: its program waits for input."""
    with open_to_all() as shown, running(shown, compile_c(WAITS), "asleep"):
        yield shown


def task_of(directory: Path, name: str) -> Path:
    """Return the directory in /proc of the task with a name."""
    named = [p for p in (directory / "proc").glob("[0-9]*") if name in (p / "comm").read_text()]
    assert len(named) == 1
    return named[0]


def stop(directory: Path, run: subprocess.Popen) -> tuple[str, str]:
    """Let the program of `waiting` end; return what it wrote."""
    with contextlib.suppress(OSError):  # the machine may have ended before the file is closed
        (directory / "tmp/stop").touch()
    return run.communicate(timeout=SECONDS)


# ---- looking ----


def test_the_tree_is_there_while_the_program_runs_and_gone_behind_it(
    directory: Path, waiting: subprocess.Popen
) -> None:
    run = waiting
    assert {"dev", "proc", "sys", "tmp"} <= set(os.listdir(directory))
    task = task_of(directory, "program")
    maps = (task / "maps").read_text()
    assert "[stack]" in maps and "[vsyscall]" in maps and "r-xp" in maps
    assert (directory / "proc/sys/vm/nonlinear").read_text() == "0\n"
    assert (directory / "sys/kernel/mm/ksm/run").read_text() == "0\n"
    assert os.readlink(directory / "proc/mounts") == "self/mounts"
    found = os.stat(task / "maps")
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (1234, 0o444)
    out, err = stop(directory, run)
    assert (out, err, run.returncode) == ("ended\n", "", 0)
    assert not mounted(directory) and not os.listdir(directory)


def test_what_one_pass_reads_is_one_state(looked_at: Path) -> None:
    with open(looked_at / "proc/vmstat", "rb", buffering=0) as file:
        first = file.read(100)
        rest = b"".join(iter(lambda: file.read(100), b""))
        file.seek(0)
        assert len(first) == 100
        assert (first + rest).splitlines()[0].startswith(b"nr_free_pages ")
        assert len((first + rest).splitlines()) == len(file.read(1 << 16).splitlines())


def test_memory_is_what_the_program_has_there(looked_at: Path) -> None:
    task = task_of(looked_at, "program")
    start = next(
        int(line.split("-")[0], 16)
        for line in (task / "maps").read_text().splitlines()
        if line.endswith("[stack]")
    )
    end = start + (132 << 10)
    with open(task / "mem", "rb", buffering=0) as memory:
        assert b"program" in os.pread(memory.fileno(), 4096, end - 4096)
        with pytest.raises(OSError, match="Input/output error"):
            os.pread(memory.fileno(), 1, 0)


def test_psutil_shows_the_machines_tasks(
    directory: Path, waiting: subprocess.Popen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(directory / "proc"))
    names = {process.pid: process.name() for process in psutil.process_iter()}
    pid = next(pid for pid, name in names.items() if name.startswith("program"))
    process = psutil.Process(pid)
    assert process.status() == psutil.STATUS_RUNNING
    assert process.uids().real == 1234
    assert process.memory_info().rss > 1 << 20
    assert "[stack]" in {row.path for row in process.memory_maps()}
    assert psutil.virtual_memory().total == 1 << 30
    assert process.cmdline()[0].startswith("/")


TOOLS = {
    "ps": (["ps", "-eo", "pid,uid,rss,args"], "program"),
    "ps of oneself": (["ps"], "init"),
    "free": (["free", "-m"], "1024"),
    "vmstat": (["vmstat"], "procs"),
    "pmap": (["sh", "-c", "pmap -x $(pgrep program)"], "[ stack ]"),
    "top": (["top", "-b", "-n1"], "program"),
    "smem": (["smem", "-c", "pid user pss command"], "1234"),
    "lsof": (["lsof", "-c", "program"], "program"),
    "busybox ps": (["busybox", "ps"], "program"),
}


@pytest.mark.parametrize("name", TOOLS)
def test_the_hosts_tools_show_the_machines_tasks(name: str, looked_at: Path) -> None:
    command, expected = TOOLS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}, which .ci/run installs")
    shown = pkern("host-shell", looked_at, *command)
    assert shown.returncode == 0, shown.stderr
    assert expected in shown.stdout
    assert "python" not in shown.stdout  # nothing of the host's
    assert "python" in Path(f"/proc/{os.getpid()}/cmdline").read_text()  # whose /proc is as it was


@pytest.mark.parametrize(
    ("script", "status", "out"),
    [
        ("exit 3", 3, ""),
        ("kill -TERM $$", 128 + signal.SIGTERM, ""),
        ("kill 2 2>&- || echo nobody", 0, "nobody\n"),
        ("cat /sys/devices/system/cpu/possible", 0, "0\n"),
        ("ls -d /proc/self/maps", 0, "/proc/self/maps\n"),
    ],
)
def test_a_host_shell_is_among_itself(script: str, status: int, out: str, looked_at: Path) -> None:
    done = pkern("host-shell", looked_at, "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (status, out, "")


def test_who_waits_for_input_is_shown_asleep(directory: Path, compile_c: Compile) -> None:
    program = compile_c("#include <stdio.h>\nint main(void) { return getchar() == EOF; }\n")
    with machine(directory, "run", "--mount", directory, program) as run:
        stat = task_of(directory, "program") / "stat"
        wait_until(lambda: stat.read_text().split(") ")[1].startswith("S "))
        run.communicate("x", timeout=SECONDS)
        assert run.returncode == 0


# ---- rights ----


def as_user(uid: int, action: Callable[[], None]) -> int:
    """Do something as a user of the host; return its errno, 0 for none."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 255
    try:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        action()
        status = 0
    except OSError as error:
        status = error.errno or 254
    finally:
        os._exit(status)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it asks as other users")


@needs_root
def test_the_callers_uid_decides(directory: Path, waiting: subprocess.Popen) -> None:
    task, gate = task_of(directory, "program"), directory / "proc/sys/vm/nonlinear"
    assert as_user(1234, lambda: void((task / "maps").read_text())) == 0
    assert as_user(4321, lambda: void((task / "maps").read_text())) == errno.EACCES
    assert as_user(4321, lambda: void((task / "status").read_text())) == 0
    assert as_user(1234, lambda: void(gate.write_text("1"))) == errno.EACCES
    assert gate.read_text() == "0\n"
    gate.write_text("1\n")
    assert gate.read_text() == "1\n"
    with pytest.raises(OSError, match="Invalid argument"):
        gate.write_text("many\n")
    assert as_user(4321, lambda: (directory / "tmp/mine").mkdir()) == 0
    assert os.stat(directory / "tmp/mine").st_uid == 4321
    assert as_user(1234, lambda: (directory / "tmp/mine").rmdir()) == errno.EPERM
    assert as_user(4321, lambda: (directory / "mine").mkdir()) == errno.EACCES


def void(_: object) -> None:
    """Take a value that nobody wants."""


@needs_root
@pytest.mark.parametrize("uid", [[], ["1000"]], ids=["root", "user"])
def test_files_answer_as_the_hosts_do(uid: list[str], looked_at: Path) -> None:
    """A hundred calls in a directory of the machine and on a tmpfs of the host."""
    script, shown = Path(__file__).parents[1] / "scripts/file_calls.py", []
    for above in (Path("/dev/shm"), looked_at / "tmp"):
        with tempfile.TemporaryDirectory(dir=above) as place:
            os.chmod(place, 0o777)
            command = [sys.executable, script, place, *uid]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            shown.append(done.stdout.splitlines())
    assert shown[1] == shown[0]
    assert len(shown[0]) > 100


# ---- ends ----


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_of_the_hosts_unmounts(
    signo: signal.Signals, directory: Path, waiting: subprocess.Popen
) -> None:
    run = waiting
    run.send_signal(signo)
    run.communicate(timeout=SECONDS)
    assert run.returncode == (130 if signo == signal.SIGINT else -signo)
    assert not mounted(directory)


def test_a_killed_machine_leaves_no_one_waiting(directory: Path, waiting: subprocess.Popen) -> None:
    file = os.open(directory / "proc/uptime", os.O_RDONLY)
    waiting.kill()
    waiting.communicate(timeout=SECONDS)
    with pytest.raises(OSError) as of_file:
        os.read(file, 100)
    with contextlib.suppress(OSError):
        os.close(file)
    with pytest.raises(OSError) as of_path:
        os.listdir(directory)
    assert of_file.value.errno in GONE
    assert of_path.value.errno == errno.ENOTCONN
    again = subprocess.run(
        [*PKERN, "mount", directory], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert again.returncode == 2
    assert f"`umount {directory}` takes it away" in again.stderr


def test_who_has_a_file_open_does_not_keep_a_machine(
    directory: Path, waiting: subprocess.Popen
) -> None:
    written = os.open(directory / "tmp/kept", os.O_WRONLY | os.O_CREAT)
    os.write(written, b"something")
    read = os.open(directory / "proc/uptime", os.O_RDONLY)
    _, err = stop(directory, waiting)
    assert (err, waiting.returncode) == ("", 0)
    for operation in (lambda: os.write(written, b"more"), lambda: os.read(read, 100)):
        with pytest.raises(OSError) as refused:
            operation()
        assert refused.value.errno in GONE
    for file in (written, read):
        with contextlib.suppress(OSError):
            os.close(file)
    assert not mounted(directory)


def test_whoever_unmounts_it_does_not_stop_the_program(directory: Path) -> None:
    command = ["run", "--root", "/", "--mount", directory, "/bin/sh", "-c", "read x; echo $x"]
    with machine(directory, *command) as run:
        subprocess.run(["umount", directory], check=True)
        assert run.communicate("typed\n", timeout=SECONDS) == ("typed\n", "")
        assert run.returncode == 0


def test_pkern_mount_lives_until_it_is_unmounted(tmp_path: Path) -> None:
    with machine(tmp_path, "mount", tmp_path) as idle:
        assert (tmp_path / "proc/1/comm").read_text() == "init\n"
        subprocess.run(["umount", tmp_path], check=True)
        out, err = idle.communicate(timeout=SECONDS)
        assert (out, err) == (f"the machine's files are in {tmp_path}; Ctrl-C ends it\n", "")
        assert idle.returncode == 0


# ---- who waits ----


def test_it_is_there_while_the_program_waits_for_the_host(directory: Path) -> None:
    command = ["run", "--root", "/", "--mount", directory, "/bin/sh", "-c", "read x; echo $x"]
    with machine(directory, *command) as run:
        assert "MemTotal" in (directory / "proc/meminfo").read_text()
        assert (directory / "bin/sh").read_bytes() == Path("/bin/sh").read_bytes()
        assert run.communicate("typed\n", timeout=SECONDS)[0] == "typed\n"


WATCHES = """
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	char buf[4096];
	int fd = inotify_init();
	inotify_add_watch(fd, "/tmp", IN_CREATE);
	if (!fork()) {
		read(fd, buf, sizeof(buf));
		puts("seen");
		return 0;
	}
	puts("begun");
	read(0, buf, sizeof(buf));
	wait(NULL);
	puts("ended");
	return 0;
}
"""


def until(terminal: int, text: bytes) -> bytes:
    """Return what a terminal shows up to a text, which must come."""
    seen, end = b"", time.monotonic() + SECONDS
    while text not in seen:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], seen
        seen += os.read(terminal, 4096)
    return seen


def test_who_waits_for_a_file_goes_on_while_another_waits_for_the_terminal(
    directory: Path, compile_c: Compile
) -> None:
    terminal, inner = pty.openpty()
    command = ["run", "--mount", directory, compile_c(WATCHES)]
    ours = {"stdin": inner, "stdout": inner, "stderr": inner}
    with machine(directory, *command, start_new_session=True, **ours) as run:
        until(terminal, b"begun")
        (directory / f"tmp/{secrets.token_hex(8)}").touch()  # the checkout may be /tmp/new
        until(terminal, b"seen")
        assert "MemTotal" in (directory / "proc/meminfo").read_text()
        os.write(terminal, b"\n")
        until(terminal, b"ended")
        assert run.wait(SECONDS) == 0
    os.close(terminal)
    os.close(inner)


def test_htop_shows_the_machines_tasks(looked_at: Path) -> None:
    if shutil.which("htop") is None:
        pytest.skip("needs htop, which .ci/run installs")
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", 24, 200, 0, 0))
    command = [*PKERN, "host-shell", looked_at, "htop", "-C"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "24"}
    shown = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment)
    try:
        until(terminal, b"program")
        os.write(terminal, b"q")
        until(terminal, b"\x1b[?1049l")
        assert shown.wait(SECONDS) == 0
    finally:
        shown.kill()
        os.close(terminal)
        os.close(inner)


def test_it_is_there_while_nobody_takes_the_output(tmp_path: Path, compile_c: Compile) -> None:
    program = compile_c(
        "#include <stdio.h>\nint main(void) { for (int i = 0; i < 100000; i++) puts("
        '"a line that fills pipes"); return 0; }\n'
    )
    with machine(tmp_path, "run", "--mount", tmp_path, program) as run:
        for _ in range(3):
            assert "MemTotal" in (tmp_path / "proc/meminfo").read_text()
        out, _ = run.communicate(timeout=SECONDS)
        assert len(out.splitlines()) == 100_000 and run.returncode == 0


def test_a_program_in_python_is_looked_at_between_its_calls(tmp_path: Path) -> None:
    program, directory = tmp_path / "program.py", tmp_path / "machine"
    directory.mkdir()
    program.write_text(
        "import time\n"
        "def main(sys):\n"
        "    sys.mmap(0, 8192, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)\n"
        "    while True:\n"
        "        try:\n"
        "            fd = sys.open('/tmp/stop', sys.O_RDONLY)\n"
        "            break\n"
        "        except FileNotFoundError:\n"
        "            time.sleep(0.01)\n"
        "    print(sys.read(fd, 100))\n"
    )
    with machine(directory, "run", "--mount", directory, program) as run:
        maps = (task_of(directory, "program") / "maps").read_text()
        assert "r--p" in maps
        staging = directory / "tmp/staging"
        staging.write_text("from the host")
        staging.rename(directory / "tmp/stop")
        assert run.communicate(timeout=SECONDS) == ("b'from the host'\n", "")


def test_a_console_can_be_looked_at_while_it_waits_for_a_line(tmp_path: Path) -> None:
    with machine(tmp_path, "console", "--mount", tmp_path) as console:
        assert (tmp_path / "proc/1/comm").read_text() == "sh\n"
        (tmp_path / "tmp/file").write_text("from the host\n")
        (tmp_path / "proc/sys/vm/nonlinear").write_text("1")
        out, _ = console.communicate("cat /tmp/file /proc/sys/vm/nonlinear\n", timeout=SECONDS)
        assert out == "from the host\n1\n"


def test_a_machine_does_not_wait_for_itself(directory: Path) -> None:
    """It shows the host's files, and so the directory that shows its own."""
    command = f"ls {directory.parent}; ls {directory}; read x; cat {directory}/proc/uptime"
    shown = ["--root", "/", "--bind", directory.parent, "--mount", directory]
    with machine(directory, "run", *shown, "/bin/sh", "-c", command) as sh:
        assert "MemTotal" in (directory / "proc/meminfo").read_text()
        assert os.listdir(f"{directory}{directory.parent}") == []
        with pytest.raises(FileNotFoundError):
            os.listdir(f"{directory}{directory}")
        out, err = sh.communicate("\n", timeout=SECONDS)
        assert out == ""
        assert err.count("No such file or directory") == 2


# ---- no trace ----


def read_all(directory: Path, halt: threading.Event, reads: list[str]) -> None:
    """Look at everything there is, again and again."""
    while not halt.wait(0.001):
        for folder, _, names in os.walk(directory):
            for name in names:
                path = f"{folder}/{name}"
                if halt.is_set():
                    return
                with contextlib.suppress(OSError):
                    os.lstat(path)
                    reads.append(path)
                    os.listxattr(path)
                    with open(path, "rb", buffering=0) as file:
                        file.read(100_000)
                    reads.append(path)


def test_no_reader_changes_what_a_program_sees(tmp_path: Path, compile_c: Compile) -> None:
    """Trace, output and log of a run that four readers watch are those of one that nobody does."""
    program, directory = compile_c("watched"), tmp_path / "machine"
    directory.mkdir()
    options = ["--ram", "5M", "--swap", "32M", "--dmesg", "-o"]
    alone = subprocess.run(
        [*PKERN, "run", *options, tmp_path / "alone", program, "30", "asked"],
        input="\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    command = ["run", *options, tmp_path / "seen", "--mount", directory, program, "30", "asked"]
    halt, reads = threading.Event(), list[str]()
    roots = [directory / name for name in ("proc/2", "proc/sys/vm", "proc/1", "tmp")]
    readers = [threading.Thread(target=read_all, args=(r, halt, reads)) for r in roots]
    for reader in readers:
        reader.start()
    try:
        with machine(directory, *command) as run:
            wait_until(lambda: len(reads) > 100 or run.poll() is not None)
            out, err = run.communicate("\n", timeout=2 * SECONDS)
    finally:
        halt.set()
        for reader in readers:
            reader.join()
    assert (out, err, run.returncode) == (alone.stdout, alone.stderr, 0)
    assert (tmp_path / "seen").read_text() == (tmp_path / "alone").read_text()
    swapped = [line for line in out.splitlines() if line.startswith("pswpin")]
    assert swapped[-1] != "pswpin 0"


def test_readers_of_the_hosts_files_take_no_descriptors(directory: Path) -> None:
    """A program that comes to the limit of open files would find other numbers of them."""
    command = ["run", "--root", "/", "--mount", directory, "/bin/sh", "-c", "read x"]
    with machine(directory, *command) as run:
        assert (directory / "proc/uptime").read_text()
        before = len(os.listdir(f"/proc/{run.pid}/fd"))
        programs = [p for p in (directory / "usr/bin").iterdir() if p.is_file()][:200]
        files = [p.open("rb", buffering=0) for p in programs]
        assert all(len(file.read(4)) > 0 for file in files)
        assert len(os.listdir(f"/proc/{run.pid}/fd")) <= before + 2
        for file in files:
            file.close()
        run.communicate("\n", timeout=SECONDS)


# ---- what cannot be ----


def assert_refused(command: Sequence[str | Path], sentence: str) -> None:
    """Assert that a command ends with 2 and one line, which holds a sentence."""
    refused = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert refused.returncode == 2
    assert sentence in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path / "missing", "cannot be mounted on: No such file or directory"),
        (lambda path: Path(shutil.copy(__file__, path)), "is not a directory of the host"),
        (lambda path: Path("/proc"), "something is mounted on '/proc' already"),
        (lambda path: Path(shutil.copy(__file__, path)).parent, "' is not empty"),
        (lambda path: "", "'' is no name of a directory"),
    ],
)
def test_a_place_that_cannot_be_mounted_on_is_a_sentence(
    make: Callable[[Path], Path | str], sentence: str, tmp_path: Path
) -> None:
    assert_refused([*PKERN, "mount", make(tmp_path)], sentence)


@pytest.mark.parametrize(
    ("hidden", "sentence"),
    [
        ("sys.modules['mfusepy'] = None", "pip install '.[fuse]' in pkern's folder"),
        ("os.environ['FUSE_LIBRARY_PATH'] = '/missing'", "libfuse is missing"),
        ("mounted.DEVICE = mounted.Path('/missing')", "no FUSE to use: /missing: No such file"),
        ("os.geteuid = lambda: 1; mounted.which = lambda name: None", "apt install fuse3"),
    ],
)
def test_a_host_without_fuse_is_told_in_a_sentence(
    hidden: str, sentence: str, tmp_path: Path
) -> None:
    code = (
        "import os, sys\nfrom pkern.userland.mount import mounted\n"
        f"{hidden}\nfrom pkern.userland.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    assert_refused([sys.executable, "-c", code, "mount", tmp_path], sentence)


def test_a_command_of_a_host_shell_ends_as_in_a_shell(looked_at: Path) -> None:
    shell = [*PKERN, "host-shell", looked_at]
    writing = subprocess.Popen([*shell, "yes"], stdout=subprocess.PIPE)
    assert writing.stdout is not None
    writing.stdout.readline()
    writing.stdout.close()
    assert writing.wait(SECONDS) == 128 + signal.SIGPIPE
    done = subprocess.run([*shell, ""], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        127, "pkern: cannot execute '': No such file or directory\n",
    )  # fmt: skip


def test_the_hosts_own_files_are_no_machine() -> None:
    done = subprocess.run(
        [*PKERN, "host-shell", "/", "true"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "pkern: no machine is mounted on '/'\n")


def test_host_shell_needs_a_directory_only() -> None:
    done = subprocess.run([*PKERN, "host-shell"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the following arguments are required: DIR. " in done.stderr


def test_host_shell_needs_a_machine(tmp_path: Path) -> None:
    refused = subprocess.run(
        [*PKERN, "host-shell", tmp_path, "ps"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr == f"pkern: no machine is mounted on '{tmp_path}'\n"
