"""What `pkern run` gives a program, and what it tells of its end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pkern.kernel.clock import TimeIsUp
from pkern.userland.given import Given, NotGiven, read_env, read_limit
from pkern.userland.machine_code import boot_scheduler
from pkern.userland.shown import read_bind
from pkern.userland.wall import wall_limit
from tests.commands import PKERN, pkern

BUSYBOX = Path("/bin/busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs a static busybox")
PROGRAM = """
def main(sys, argv):
    print(argv[1:], sys.environ.get("A"), sys.environ.get("HOME"), sys.getcwd())
    print(sys.getrlimit(7), sys.getuid(), sys.getgid())
"""


@pytest.fixture
def python_program(tmp_path):
    file = tmp_path / "prog.py"
    file.write_text(PROGRAM)
    return file


# ---- how it is written ----


def test_limits_as_they_are_written():
    assert read_limit("NOFILE=64") == ("nofile", 64)
    assert read_limit("RLIMIT_AS=1G:2g") == ("as", (1 << 30, 2 << 30))
    assert read_limit("AS=1T") == ("as", 1 << 40)
    assert read_limit("stack=unlimited") == ("stack", (1 << 64) - 1)
    assert read_limit("CPU=3:infinity") == ("cpu", (3, (1 << 64) - 1))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("NOFILE", "NAME=SOFT"),
        ("NOFLIE=3", "no limit 'NOFLIE': choose of CPU"),
        ("NOFILE=1K", "NOFILE takes a number, or 'unlimited', not '1K'"),
        ("AS=1P", "AS takes a number, with K, M, G or T"),
        ("AS=2G:1G", "soft limit 2G is above the hard one, 1G"),
        ("AS=-1", "not '-1'"),
        ("AS=", "not ''"),
        ("AS=99999999999999999999", "AS takes"),
    ],
)
def test_limits_that_cannot_be(text, complaint):
    with pytest.raises(NotGiven, match=complaint):
        read_limit(text)


def test_binds_as_they_are_written(tmp_path):
    own, elsewhere = read_bind(str(tmp_path)), read_bind(f"{tmp_path}:/in:rw")
    assert (own.inside, own.access.value) == (str(tmp_path), "ro")
    assert (elsewhere.inside, elsewhere.access.value) == ("/in", "rw")
    assert read_bind(f"{tmp_path}:rw").inside == str(tmp_path)
    for text in (f"{tmp_path}/none", f"{tmp_path}:in", f"{tmp_path}:/a:/b:rw", "", ":/in"):
        with pytest.raises(NotGiven):
            read_bind(text)


def test_environment_as_it_is_written(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/mine")
    monkeypatch.delenv("TERM", raising=False)
    assert read_env(["A=1=2", "HOME", "TERM", "EMPTY="]) == {
        "PATH": Given(()).environment["PATH"],
        "HOME": "/home/of/mine",
        "A": "1=2",
        "EMPTY": "",
    }
    with pytest.raises(NotGiven):
        read_env(["=1"])


# ---- given to both kinds of program ----


def test_a_python_program_is_given_what_was_asked(python_program):
    done = pkern(
        "run", "--env", "A=x y", "--cwd", "/made/here", "--limit", "NOFILE=64:128", "--uid", 0,
        python_program, "one", "--two",
    )  # fmt: skip
    assert done.stdout.splitlines() == ["['one', '--two'] x y / /made/here", "(64, 128) 0 0"]
    assert (done.returncode, done.stderr) == (0, "")


@needs_busybox
def test_a_program_in_machine_code_is_given_what_was_asked(tmp_path):
    (tmp_path / "in").write_text("from a file\n")
    script = 'echo "$A $HOME"; pwd; ulimit -n; ulimit -Hn; cat; id -u; stat -c %u . ..'
    done = pkern(
        "run", "--env", "A=x y", "--cwd", "/made/here", "--limit", "NOFILE=64:128", "--uid", 5,
        "--stdin", tmp_path / "in", BUSYBOX, "sh", "-c", script,
    )  # fmt: skip
    given = ["x y /", "/made/here", "64", "128", "from a file", "5", "5", "5", ""]
    assert done.stdout.split("\n") == given


def test_a_processor_has_what_is_asked_for(tmp_path):
    (tmp_path / "keys.py").write_text("def main(sys):\n    print(sys.pkey_alloc(0, 0))\n")
    done = pkern("run", "--cpu", "pku", tmp_path / "keys.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    without = pkern("run", tmp_path / "keys.py")
    assert (without.returncode, without.stdout) == (1, "")
    unknown = pkern("run", "--cpu", "pke", tmp_path / "keys.py")
    assert unknown.returncode == 2
    assert unknown.stderr == (
        "pkern: the machine does not boot: "
        "unknown feature 'pke' of a processor; did you mean pku?\n"
    )


@needs_busybox
def test_a_working_directory_that_cannot_be(tmp_path, python_program):
    (tmp_path / "file").touch()
    for program in (python_program, BUSYBOX):
        for place, why in (("none/x", "cannot be made: Read-only file system"), ("file", "a file")):
            done = pkern("run", "--bind", tmp_path, "--cwd", tmp_path / place, program)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"pkern: the working directory '{tmp_path / place}' ")
            assert done.stderr.endswith(f"{why}\n")


def test_standard_input_of_a_python_program(tmp_path):
    (tmp_path / "prog.py").write_text("def main(sys): print(sys.read(0, 99), sys.read(0, 99))")
    (tmp_path / "in").write_text("text")
    done = pkern("run", "--stdin", tmp_path / "in", tmp_path / "prog.py")
    assert done.stdout == "b'text' b''\n"


@needs_busybox
def test_binds_are_read_only_unless_rw(tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in/file").write_text("content\n")
    (tmp_path / "out").chmod(0o777)
    script = (
        "cat /data/in/file; echo no > /data/in/new; echo yes > /out/new; chmod 640 /out/new; "
        "ls -l /data; grep hostfs /proc/mounts; cat $OWN/file"
    )
    done = pkern(
        "run", "--bind", f"{tmp_path}/in:/data/in", "--bind", f"{tmp_path}/out:/out:rw", "--uid",
        os.getuid(), "--bind", tmp_path / "in", "--env", f"OWN={tmp_path}/in",
        BUSYBOX, "sh", "-c", script,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == lines[-1] == "content"
    assert "Read-only file system" in done.stderr
    assert "hostfs /data/in hostfs ro,relatime 0 0" in lines
    assert "hostfs /out hostfs rw,relatime 0 0" in lines
    made = tmp_path / "out/new"
    assert made.read_text() == "yes\n"
    assert stat.S_IMODE(made.stat().st_mode) == 0o640
    assert not (tmp_path / "in/new").exists()


@needs_busybox
def test_a_bind_inside_a_root_follows_its_links_and_hides_nothing(tmp_path):
    root, data = tmp_path / "root", tmp_path / "data"
    for folder in (root / "bin", root / "real/sub", data):
        folder.mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (root / "link").symlink_to("/real")
    (root / "real/kept").touch()
    (data / "shown").touch()
    asked = ["--root", root, "--bind", f"{data}:/link/sub", "--bind", f"{data}:/new/place"]
    script = "ls /real /real/sub /new/place; echo x > /real/kept"
    for more, error in ((), "Read-only file system"), (("--overlay", "--uid", os.getuid()), ""):
        done = pkern("run", *asked, *more, "--", "/bin/busybox", "sh", "-c", script)
        assert done.stdout.split() == [
            "/new/place:", "shown", "/real:", "kept", "sub", "/real/sub:", "shown",
        ]  # fmt: skip
        assert error in done.stderr and bool(done.stderr) is bool(error)
    assert (root / "real/kept").read_text() == ""
    assert not (root / "new").exists()


@needs_busybox
def test_absolute_links_in_a_bound_directory_lead_where_they_do_on_the_host(tmp_path):
    """An environment of Python in a bound directory is full of them."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "busybox").symlink_to(BUSYBOX)
    (data / "readlink").symlink_to(data / "busybox")
    command = [str(data / "readlink"), "-f", str(data / "readlink")]
    done = pkern("run", "--root", "/", "--bind", data, "--", *command)
    on_host = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stderr, done.stdout) == ("", on_host.stdout)


SEES_FILES = """
def main(sys):
    print(sorted(set(sys.listdir("/")) - {"dev", "proc", "sys", "tmp"}), sys.listdir("/data"))
    fd = sys.open("/etc/name", sys.O_RDONLY)
    print(sys.read(fd, 99))
    try:
        print(sys.write(sys.open("/etc/name", sys.O_WRONLY), b"N"))
        print(sys.read(sys.open("/etc/name", sys.O_RDONLY), 99))
    except OSError as error:
        print(error)
"""


def test_a_python_program_sees_the_files_that_machine_code_sees(tmp_path):
    root, data = tmp_path / "root", tmp_path / "data"
    (root / "etc").mkdir(parents=True)
    (root / "etc/name").write_text("name")
    data.mkdir()
    (data / "shown").touch()
    program = tmp_path / "prog.py"  # a file of the host, not of its root
    program.write_text(SEES_FILES)
    asked = ["--uid", os.getuid(), "--root", root, "--bind", f"{data}:/data"]
    done = pkern("run", *asked, program)
    assert done.stdout.splitlines() == [
        "['data', 'etc'] ['shown']",
        "b'name'",
        "[Errno 30] Read-only file system: '/etc/name'",
    ], done.stderr
    done = pkern("run", *asked, "--overlay", program)
    assert done.stdout.splitlines()[1:] == ["b'name'", "1", "b'Name'"], done.stderr
    assert (root / "etc/name").read_text() == "name"
    assert pkern("run", "--root", tmp_path / "none", program).returncode == 2
    assert pkern("run", "--root", root, "/prog.py").returncode == 127  # no file of the host


# ---- time ----


def test_virtual_time_ends_a_sleeper(tmp_path):
    (tmp_path / "prog.py").write_text("def main(sys):\n while True: sys.nanosleep(10**9)\n")
    done = pkern("run", "--timeout", "2.5", "--strace", tmp_path / "prog.py")
    assert done.returncode == 124
    assert done.stderr.splitlines()[-2:] == [
        "+++ killed by SIGKILL +++",
        "pkern: time is up: 2.5 s of virtual time (--timeout)",
    ]


@needs_busybox
@pytest.mark.parametrize("script", ["while :; do :; done", "sleep 1000"])
def test_virtual_time_ends_machine_code(script):
    done = pkern("run", "--timeout", "0.5", BUSYBOX, "sh", "-c", script)
    assert done.returncode == 124
    assert done.stderr == "pkern: time is up: 0.5 s of virtual time (--timeout)\n"


def test_the_host_s_time_ends_a_python_program(tmp_path):
    (tmp_path / "prog.py").write_text("def main(sys):\n while True: sys.getpid()\n")
    done = pkern("run", "--wall", "0.3", tmp_path / "prog.py")
    assert done.returncode == 124
    assert done.stderr == "pkern: time is up: 0.3 s of the host's time (--wall)\n"


@needs_busybox
def test_the_host_s_time_ends_machine_code_that_waits_for_the_host():
    read, write = os.pipe()
    try:
        for script in ("while :; do :; done", "read line"):
            command = [*PKERN, "run", "--wall", "0.3", BUSYBOX, "sh", "-c", script]
            done = subprocess.run(command, stdin=read, stderr=subprocess.PIPE, check=False)
            assert done.returncode == 124, done.stderr
    finally:
        os.close(read)
        os.close(write)


def test_the_host_s_time_ends_a_wait_that_begins_just_after_it_was_up(kernel):
    read, write = os.pipe()
    scheduler = boot_scheduler(kernel)
    try:
        with pytest.raises(TimeIsUp), wall_limit(kernel, 20_000_000):
            time.sleep(0.1)  # the scheduler is told to halt after the turn
            scheduler.idle.waits_for_host = True
            os.read(read, 1)
    finally:
        scheduler.idle.waits_for_host = False
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_times_that_cannot_be(python_program, text):
    for option in ("--timeout", "--wall"):
        done = pkern("run", f"{option}={text}", python_program)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{option} takes a number of seconds above 0" in done.stderr


# ---- the end ----


def program_of(tmp_path, change):
    """Return a copy of busybox whose bytes are changed."""
    file = tmp_path / "changed"
    file.write_bytes(change(bytearray(BUSYBOX.read_bytes())))
    file.chmod(0o755)
    return file


def patched(at, value):
    def change(data):
        data[at : at + len(value)] = value
        return data

    return change


@needs_busybox
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:40], "truncated: 40 bytes, and an ELF header alone has 64"),
        (lambda data: data[:100], "truncated: its program headers end at byte"),
        (lambda data: data[:5000], "truncated: it has 5000 of "),
        (lambda data: b"", "it is empty"),
        (lambda data: b"text\n", "neither an ELF program nor a script"),
        (patched(18, b"\xb7\0"), "a program for AArch64; this machine is an x86-64"),
        (patched(4, b"\1\1\1" + bytes(9) + b"\2\0\3\0"), "a 32-bit program for "),
        (patched(16, b"\1\0"), "an object file, which is still to be linked"),
        (patched(16, b"\4\0"), "a core dump"),
        (patched(56, b"\0\0"), "its program headers make no sense"),
    ],
)
def test_what_cannot_be_executed_says_why(tmp_path, change, reason):
    file = program_of(tmp_path, change)
    done = pkern("run", "--json", tmp_path / "end.json", file)
    assert done.returncode == 126
    assert done.stderr.startswith(f"pkern: cannot execute '{file}': ")
    assert reason in done.stderr
    told = json.loads((tmp_path / "end.json").read_text())
    assert (told["status"], told["program"]) == (126, None)
    assert reason in told["reason"]


@needs_busybox
def test_what_is_not_found_or_no_file(tmp_path):
    assert pkern("run", tmp_path / "none").returncode == 127
    assert pkern("run", tmp_path / "none.py").returncode == 127
    assert pkern("run", tmp_path).returncode == 126
    (tmp_path / "bin").mkdir()
    shutil.copy(BUSYBOX, tmp_path / "bin/busybox")
    (tmp_path / "bin/plain").write_text("#!/bin/busybox sh\n")
    for path, status in (("/none", 127), ("/bin", 126), ("/bin/plain", 126), ("/bin/plain/x", 127)):
        done = pkern("run", "--root", tmp_path, path)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr


@needs_busybox
@pytest.mark.parametrize("name", ["./script", "script", "{}/script"])
def test_a_file_of_the_host_that_a_root_does_not_show_is_named(tmp_path, name):
    script = tmp_path / "script"
    script.write_text("#!/bin/busybox sh\necho here\n")
    script.chmod(0o755)
    done = pkern("run", "--root", "/", name.format(tmp_path), cwd=tmp_path)
    path = f"--bind {tmp_path} shows it the host's {script}"
    assert done.returncode == 127
    assert done.stderr.endswith(f"No such file or directory on the machine; {path}\n")
    given = ["--root", "/", "--bind", tmp_path, "--uid", os.getuid()]
    done = pkern("run", *given, script)
    assert (done.returncode, done.stdout) == (0, "here\n")


@needs_busybox
def test_a_file_that_is_shown_and_not_named_by_its_path_there(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/busybox sh\necho here\n")
    script.chmod(0o755)
    given = ["--root", "/", "--bind", tmp_path, "--uid", os.getuid()]
    done = pkern("run", *given, "./script", cwd=tmp_path)
    where = f"; on the machine it is {script} (relative names begin at /, or at --cwd)\n"
    assert done.returncode == 127
    assert done.stderr.endswith(f"No such file or directory{where}")
    done = pkern("run", *given, "--cwd", tmp_path, "./script", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "here\n")


@needs_busybox
def test_the_end_names_the_program_that_died(tmp_path):
    other = Path(shutil.copy(BUSYBOX, tmp_path / "busybox"))
    script = f"exec {other} sh -c 'kill -SEGV $$'"
    mounts = ["--bind", tmp_path, "--uid", os.getuid()]
    done = pkern("run", *mounts, "--json", tmp_path / "end", BUSYBOX, "sh", "-c", script)
    assert done.returncode == 128 + signal.SIGSEGV
    assert done.stderr == f"{other}: ended by SIGSEGV; --dmesg shows where\n"
    told = json.loads((tmp_path / "end").read_text())
    assert (told["status"], told["signal"], told["program"]) == (139, "SIGSEGV", str(other))
    assert told["argv"][:2] == [str(BUSYBOX), "sh"]
    assert told["faults"]["minor"] > 0
    assert told["peak_memory_kib"] > 0
    assert told["machine"]["pgfault"] >= told["faults"]["minor"]
    assert told["machine"]["most_vmas"] >= 5
    assert told["times"]["virtual_ns"] >= told["times"]["cpu_ns"] > 0


def test_json_of_a_python_program(tmp_path, python_program):
    assert pkern("run", "--json", tmp_path / "end", python_program, "x").returncode == 0
    told = json.loads((tmp_path / "end").read_text())
    assert (told["status"], told["signal"], told["reason"]) == (0, None, None)
    assert told["argv"] == [str(python_program), "x"]
    assert told["log"][0].endswith("reverse map objrmap_tree")


# ---- options behind the program's name ----


def test_options_behind_the_program_s_name_are_the_program_s(python_program):
    done = pkern("run", python_program, "--ram", "4M", "-c", "--help")
    assert "['--ram', '4M', '-c', '--help']" in done.stdout
    assert done.stderr == (
        "pkern: '--ram' stands behind the program's name, so it is the program's; an option of"
        f" pkern's stands before '{python_program}'\n"
    )
    assert pkern("run", python_program, "--mine", "-e").stderr == ""
    assert "['--', '-x', '--']" in pkern("run", python_program, "--", "-x", "--").stdout
    assert pkern("run", "--", python_program, "--ram", "4M").stderr == ""


def test_requests_that_make_no_sense(python_program, tmp_path):
    for arguments, complaint in (
        (["--overlay"], "--overlay needs --root"),
        (["--cwd", "here"], "--cwd takes an absolute path"),
        (["--bind", "none"], "'none' is not a directory of the host"),
        (["--limit", "AS"], "a limit is NAME=SOFT"),
        (["-e", "trace=nothing"], "-e: invalid system call 'nothing'"),
        (["-o", tmp_path / "none/file"], "cannot be written"),
        (["--json", tmp_path], "is a directory"),
        (["--stdin", tmp_path / "none"], "there is no file"),
    ):
        done = pkern("run", *arguments, python_program)
        assert (done.returncode, done.stdout) == (2, "")
        assert complaint in done.stderr


# ---- strace's options ----


@needs_busybox
def test_strace_to_a_file_with_a_filter(tmp_path):
    log = tmp_path / "log"
    done = pkern("run", "-o", log, "-e", "trace=%process", "-tt", BUSYBOX, "true")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    lines = log.read_text().splitlines()
    assert lines[0].startswith('2     00:00:00.000000 execve("/bin/busybox", ["/bin/busybox", "tru')
    assert [line.split()[2].split("(")[0] for line in lines[1:]] == ["exit_group", "+++"]


def theirs(*options: str, program: list[str]) -> str | None:
    """Return what the host's strace prints; None where there is none that may trace."""
    if shutil.which("strace") is None:
        return None
    command = ["strace", *options, *program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if "+++" in done.stderr or "total" in done.stderr else None


@needs_busybox
def test_forms_are_those_of_the_host_s_strace():
    program = [str(BUSYBOX), "sh", "-c", "echo -n; cat /proc/none; exit 3"]
    there = theirs("-f", "-e", "trace=exit_group", "-t", program=program)
    counts = theirs("-f", "-c", "-e", "trace=execve,exit_group,openat", program=program)
    if there is None or counts is None:
        pytest.skip("this host's strace may not trace")
    here = pkern("run", "-e", "trace=exit_group", "-t", *program).stderr

    def shapes(text: str) -> list[str]:
        found = [line for line in text.splitlines() if "exit_group(" in line or "+++" in line]
        return re.sub(r"\d+", "9", re.sub(r"\[pid +", "[pid ", "".join(found))).split("+++")

    assert shapes(here) == shapes(there)
    ours = pkern("run", "-c", "-e", "trace=execve,exit_group,openat", *program).stderr
    assert "cat: can't open '/proc/none'" in ours

    def table(text: str) -> list[str]:
        lines = text[text.index("% time") :].splitlines()
        return [line[31:] if line[:1] not in "%-" else line for line in lines]

    assert sorted(table(ours)) == sorted(table(counts))


# ---- odd requests, odd surroundings ----


@needs_busybox
@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--ram", "9" * 30, BUSYBOX), 2, "a machine has less than 16T of RAM"),
        (("--ram", "16T", BUSYBOX), 2, "a machine has less than 16T of RAM"),
        (("--ram", "1P", BUSYBOX), 2, "not a size: '1P'"),
        (("--fail-nth", "-1", BUSYBOX), 2, "a number from 0, not '-1'"),
        (("--cap", "cap_sys_admin", BUSYBOX), 2, "did you mean CAP_SYS_ADMIN?"),
        (("--stdin", "/dev/zero", BUSYBOX), 2, "a device, which may have no end"),
        (("--stdin", "", BUSYBOX), 2, "there is no file ''"),
        (("",), 127, "there is no file ''"),
    ],
)
def test_odd_requests_are_refused_in_a_sentence(arguments, status, complaint):
    ran = pkern("run", *arguments)
    assert ran.returncode == status
    assert complaint in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        ("def main(sys): return 'x'", 1, "main returned a str; its result is the status"),
        ("async def main(sys): return 3", 1, "main is a coroutine"),
        ("def main(sys): return -1", 255, ""),
        ("def main(sys): return 1 << 70 | 3", 3, ""),
        ("def main(sys): return None", 0, ""),
    ],
)
def test_the_result_of_main_is_a_status_or_refused(tmp_path, body, status, complaint):
    program = tmp_path / "prog.py"
    program.write_text(body)
    ran = pkern("run", program)
    assert ran.returncode == status
    assert complaint in ran.stderr
    assert ran.stderr.count("\n") == bool(complaint)


def test_a_script_without_its_interpreter(tmp_path):
    script = tmp_path / "script"
    script.write_text(f"#!{tmp_path}/absent\n")
    script.chmod(0o755)
    ran = pkern("run", script)
    assert ran.returncode == 127
    assert f"its interpreter '{tmp_path}/absent' is not on the machine" in ran.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["syscalls mmap", "console", "--help", "run prog.py"])
def test_closed_descriptors_are_no_error(tmp_path, closed, command):
    (tmp_path / "prog.py").write_text("def main(sys): print('out')")
    line = f"{sys.executable} -m pkern {command} {closed}"
    ran = subprocess.run(
        line, shell=True, cwd=tmp_path, capture_output=True, text=True, input="ls\n", check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert bool(ran.stdout) == (
        ">&-" not in closed.split() and (command, closed) != ("console", "<&-")
    )


@needs_busybox
def test_a_closed_output_is_no_other_file(tmp_path):
    command = f"{sys.executable} -m pkern run -o calls -- /bin/busybox echo lost >&-"
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    calls = (tmp_path / "calls").read_text()
    assert '"lost\\n"' in calls
    assert "\nlost\n" not in calls


@needs_busybox
def test_a_name_that_is_no_utf_8(tmp_path):
    program = os.fsencode(tmp_path) + b"/\xff"
    shutil.copy(BUSYBOX, program)
    ran = subprocess.run(
        [*PKERN, "run", "--strace", program, "echo", "a"],
        capture_output=True,
        check=False,
    )
    assert b'/\\377", ' in ran.stderr.splitlines()[0]


def test_a_machine_has_a_gibibyte_unless_asked_otherwise(tmp_path):
    program = tmp_path / "prog.py"
    program.write_text("def main(sys): print(sys.read(sys.open('/proc/meminfo'), 99).split()[1])")
    assert pkern("run", program).stdout == "b'1048576'\n"
    assert pkern("run", "--ram", "8M", program).stdout == "b'8192'\n"
