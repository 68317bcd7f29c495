"""The console, fed with lines as a user types them."""

import hashlib
import io
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.cli.console.console import Console
from tests.commands import pkern


@pytest.fixture
def console(kernel):
    return Console(kernel)


def typed(console, capsys, *lines):
    """Return what the console prints for the lines."""
    for line in lines:
        console.onecmd(line)
    return capsys.readouterr().out


def test_echo_writes_a_file_and_cat_prints_it(console, capsys):
    assert typed(console, capsys, "echo one > /tmp/f", "echo two >> /tmp/f", "cat /tmp/f") == (
        "one\ntwo\n"
    )


def test_cat_goes_on_after_a_file_that_is_not_there(console, capsys):
    out = typed(console, capsys, "echo one > /tmp/f", "cat /nope /tmp/f")
    assert out == "cat: /nope: No such file or directory\none\n"


def test_an_arrow_in_quotes_is_text(console, capsys):
    assert typed(console, capsys, "echo 'a > b' > /tmp/f", "cat /tmp/f") == "a > b\n"


def test_a_nul_is_a_sentence_and_the_console_goes_on(console, capsys):
    out = typed(console, capsys, "ls \0", "cat < \0", "echo on")
    assert out == "a line holds no NUL\na line holds no NUL\non\n"


def test_truncate_makes_the_file(console, capsys):
    typed(console, capsys, "truncate /tmp/f 10K")
    assert console.sys.stat("/tmp/f").st_size == 10240


def test_echo_opens_the_gate_through_proc(console, capsys, kernel):
    typed(console, capsys, "echo 1 > /proc/sys/vm/nonlinear")
    assert int(kernel.sysctl["vm.nonlinear"]) == 1
    assert "vm.nonlinear" in typed(console, capsys, "dmesg")


def test_sysctl_sets_and_shows(console, capsys):
    out = typed(console, capsys, "sysctl vm.nonlinear=1", "sysctl vm.nonlinear")
    assert "vm.nonlinear" in out


def test_errors_are_one_line(console, capsys):
    gate = "/proc/sys/vm/nonlinear"
    assert typed(console, capsys, "cat /nope") == "cat: /nope: No such file or directory\n"
    assert typed(console, capsys, f"echo 9 > {gate}") == f"echo: {gate}: Invalid argument\n"
    assert "did you mean vm.nonlinear?" in typed(console, capsys, "sysctl vm.nonlinaer=1")
    assert typed(console, capsys, "echo 1 >") == "echo: one path stands behind >\n"
    assert "no such command" in typed(console, capsys, "frobnicate")
    assert typed(console, capsys, "cat") == "cat: too few arguments: cat PATH...\n"
    told = typed(console, capsys, "echo x | run")
    assert told == "run: too few arguments: run PROGRAM [ARGUMENT...]\n"


def test_a_command_that_is_not_there_says_what_may_be_meant(console, capsys):
    assert typed(console, capsys, "echoo a") == "echoo: no such command; did you mean echo?\n"
    told = typed(console, capsys, "cat /proc/uptime | head")
    assert told == (
        "head: no such command; 'help' lists the console's; programs run by path, as"
        " /bin/busybox head\n"
    )
    out = typed(console, capsys, "help", "help free > /tmp/free", "cat /tmp/free")
    assert "Lines know ; | < > >> *; a path runs a program.\n" in out
    assert out.count("free [-b|-k|-m|-g]: ") == 1


def test_free_prints_what_free_prints():
    """procps 4.0.2 in a machine of this kind prints the same lines, but for what it uses itself."""
    with Kernel(ram="16M", swap="4M") as kernel:
        out = io.StringIO()
        with redirect_stdout(out):
            console = Console(kernel)
            console.onecmd("free")
            console.onecmd("free -m")
            console.onecmd("free -h")
        head, memory, swap, _, megabytes, *_, refused = out.getvalue().splitlines()
    assert head == (
        "               total        used        free      shared  buff/cache   available"
    )
    label, total, used, free, *_, available = memory.split()
    assert (label, int(total)) == ("Mem:", 16384)
    assert int(total) == int(used) + int(available) >= int(free) > 15000
    assert len(memory) == len(head)
    assert swap == "Swap:           4092           0        4092"
    assert megabytes.split()[:2] == ["Mem:", "16"]
    assert refused == "free: it takes one of -b, -k, -m, -g, not '-h'"


def test_quit_is_exit(console, capsys):
    assert console.onecmd("quit 3")
    assert console.status == 3
    typed(console, capsys, "cat /nope")
    assert console.onecmd("quit")
    assert console.status == 1


def test_ps_maps_ls_and_check(console, capsys):
    assert "sh" in typed(console, capsys, "ps")
    assert "[stack]" in typed(console, capsys, "maps")
    assert "sys" in typed(console, capsys, "ls /proc").split()
    assert "hold" in typed(console, capsys, "check")


def test_run_and_python(console, capsys, tmp_path):
    program = tmp_path / "p.py"
    program.write_text("def main(sys):\n    print('ran as', sys.getuid())\n    return 3\n")
    out = typed(console, capsys, f"run {program}", "python print(sys.pid == task.pid)")
    assert out == "ran as 1000\nexit status 3\nTrue\n"


@pytest.mark.parametrize(
    "text",
    [
        "def main(sys): {}['x']",
        "def main(sys): raise SystemExit",
        "def main(): pass",
        "main = 5",
        "x = (",
        "def main(sys): sys.load(4096, 1)",
    ],
)
def test_a_broken_program_leaves_the_shell_alive(console, capsys, kernel, tmp_path, text):
    program = tmp_path / "p.py"
    program.write_text(text)
    console.onecmd(f"run {program}")
    assert list(kernel.tasks) == [console.task.pid]
    assert "[stack]" in typed(console, capsys, "maps")


def test_the_end_of_the_shells_task_ends_the_console(console, capsys):
    assert console.onecmd("python sys.exit(0)")


def test_python_remembers(console, capsys):
    assert typed(console, capsys, "python x = 6", "python print(x * 7)") == "42\n"


def test_completion(console):
    assert "/proc/sys/" in console.completedefault("/proc/sy")
    assert "/proc/sys/vm/nonlinear" in console.completedefault("/proc/sys/vm/nonl")
    assert "vm.nonlinear" in console.complete_sysctl("vm.nonl")


def test_lines_have_pipelines_and_redirections(console, capsys):
    out = typed(
        console, capsys, "echo a > /tmp/f; echo b >> /tmp/f; cat /tmp/f | cat; echo 'x;y|z'"
    )
    assert out == "a\nb\nx;y|z\n"
    assert typed(console, capsys, "ps > /tmp/f", "cat /tmp/f").startswith("PID")
    assert typed(console, capsys, "cat < /tmp/f > /tmp/g; cat /tmp/g").startswith("PID")
    out = typed(console, capsys, "echo a > /tmp/.h; echo /tmp/[f-g] t*/? '*' /t'*' /none*")
    assert out == ("/tmp/f /tmp/g tmp/f tmp/g * /t* /none*\n")
    assert typed(console, capsys, "echo '$X' \"a & b < c\"; python 1 < 2 & 3") == (
        "$X a & b < c\nTrue\n"
    )
    assert "no variables" in typed(console, capsys, "echo $X")
    assert console.status == 1
    assert "no &" in typed(console, capsys, "ps &")
    for line in ("cat /none 2> /tmp/e", "cat /none > /tmp/e 2>&1", "2>> /tmp/e"):
        assert "the console has no 2>" in typed(console, capsys, line)
    assert typed(console, capsys, "echo '2'>/tmp/e; echo a2>>/tmp/e; cat /tmp/e") == "2\na2\n"
    assert "stands behind <" in typed(console, capsys, "ps | cat < /tmp/f")
    assert typed(console, capsys, "echo a | | cat") == "a command stands on both sides of |\n"
    assert typed(console, capsys, "echo '>' \\> \">\" # > /tmp/g") == "> > >\n"


def test_ls_l_shows_what_stat_says(console, capsys):
    console.sys.symlink("/tmp/f", "/tmp/link")
    out = typed(console, capsys, "echo abc > /tmp/f", "ls -l /tmp", "ls -l /tmp/f")
    file, link, alone = out.splitlines()
    assert file.split()[:5] == ["-rw-r--r--", "1", "0", "0", "4"]
    assert file.split()[-1] == "f"
    assert link.startswith("lrwxrwxrwx") and link.endswith("link -> /tmp/f")
    assert alone.endswith(" /tmp/f")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("cat /nope", 1),
        ("cat /nope; echo", 0),
        ("frobnicate", 127),
        ("echo a > b > c", 2),
        ("exit 7", 7),
        ("cat /nope; exit", 1),
    ],
)
def test_the_status_is_the_last_commands(console, line, status):
    console.onecmd(line)
    assert console.status == status


@pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs busybox-static")
def test_programs_in_machine_code_stand_in_pipelines(console, capfd):
    console.onecmd("run /bin/busybox echo one | /bin/busybox tr a-z A-Z > /tmp/f; cat /tmp/f")
    console.onecmd("/bin/busybox sh -c 'echo two; exit 3'")
    assert capfd.readouterr().out == "ONE\ntwo\nexit status 3\n"
    assert console.status == 3


def test_python_goes_back_to_the_console(console, capsys):
    assert typed(console, capsys, "python exit()", "python quit()", "echo here") == "here\n"


def test_a_script_ends_with_the_status_of_its_last_command():
    command = [sys.executable, "-m", "pkern", "console"]
    done = subprocess.run(command, input="echo a\ncat /nope\n", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "a\ncat: /nope: No such file or directory\n"


def test_wrong_lines_are_told_in_a_sentence(console, capsys):
    assert typed(console, capsys, "exit soon") == "exit: a status is a number, not 'soon'\n"
    assert typed(console, capsys, "> /tmp/f") == "a command stands before >\n"
    assert typed(console, capsys, "ls /nope") == "ls: /nope: No such file or directory\n"
    assert console.status == 1


def test_python_that_comes_through_a_pipe_prints_no_prompt():
    ran = subprocess.run(
        [sys.executable, "-m", "pkern", "console"],
        input="python\nprint(6 * 7)\nexit()\necho back\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "42\nback\n"


# ---- side by side ----

needs_busybox = pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs busybox-static")


@needs_busybox
@pytest.mark.parametrize(
    ("line", "printed", "status"),
    [
        ("cat /dev/zero | /bin/busybox head -c 5 | /bin/busybox wc -c", "5\n", 0),
        ("/bin/busybox yes | /bin/busybox head -n 2", "y\ny\n", 0),
        ("/bin/busybox yes | cat | /bin/busybox head -n 1", "y\n", 0),
        ("cat /dev/zero | cat | /bin/busybox head -c 3 | /bin/busybox wc -c", "3\n", 0),
        ("/bin/busybox yes | echo first", "first\n", 0),
        ("echo a > /f; /bin/busybox wc -c < /f | cat", "2\n", 0),
        ("cat /dev/zero | echo first | cat", "first\n", 0),
        ("/bin/busybox echo a | cat", "a\n", 0),
        ("/bin/busybox false | cat", "", 0),
        ("echo a | /bin/busybox false", "exit status 1\n", 1),
        ("/bin/busybox sh -c 'kill -SEGV $$' | /bin/busybox wc -c", "0\n", 0),
        ("/bin/busybox yes | /bin/busybox head -n 1 > /tmp/f; cat /tmp/f /tmp/f", "y\ny\n", 0),
        ("echo a > /f; /bin/busybox echo b >> /f; cat /f | /bin/busybox tac", "b\na\n", 0),
        ("/proc/self/no/none | /bin/busybox wc -c", "0\n", 0),
        ("echo a | /proc/self/no/none", "", 127),
        ("cat /none | /bin/busybox wc -c", "0\n", 0),
        ("cat /dev/zero > /tmp/full; /bin/busybox true", "", 0),
        ("/bin/busybox yes > /tmp/full", "", 1),
        ("/bin/busybox yes | /bin/busybox cat | cat > /tmp/full", "", 1),
    ],
)  # fmt: skip
def test_pipelines_run_side_by_side(line, printed, status):
    """Each ends although what comes has no end; a small machine has no room for it either."""
    done = pkern("console", "--ram", "6M", input=line)
    out = [text for text in done.stdout.splitlines(keepends=True) if ": " not in text]
    assert ("".join(out), done.returncode) == (printed, status), done


@needs_busybox
def test_bytes_go_through_pipes_as_they_are(tmp_path):
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 1000)
    done = pkern(
        "console", "--host", tmp_path,
        input="cat /host/bytes | /bin/busybox md5sum > /tmp/sum; cat /host/bytes > /tmp/copy;"
        "cat /tmp/copy | cat | /bin/busybox md5sum | cat; cat /tmp/sum",
    )  # fmt: skip
    sum_ = hashlib.md5((tmp_path / "bytes").read_bytes()).hexdigest()
    assert done.stdout == f"{sum_}  -\n" * 2


@needs_busybox
def test_a_program_in_python_stands_in_pipelines(tmp_path):
    program = tmp_path / "p.py"
    program.write_text("def main(sys):\n    while True: print('line')\n")
    done = pkern("console", input=f"run {program} | /bin/busybox head -n 2; exit")
    assert (done.stdout, done.stderr, done.returncode) == ("line\nline\n", "", 0)


def test_complaints_do_not_go_through_the_pipe(console, capsys):
    out = typed(console, capsys, "cat /none > /tmp/f; ls -l /tmp/f")
    complaint, file = out.splitlines()
    assert complaint == "cat: /none: No such file or directory"
    assert file.split()[4] == "0"
    assert (
        typed(console, capsys, "echo a > /none/f") == "echo: /none/f: No such file or directory\n"
    )


@needs_busybox
def test_control_c_in_a_command_that_writes_to_a_program_ends_both(console, kernel, monkeypatch):
    def interrupted(_line):
        raise KeyboardInterrupt

    console.prompt = "pkern# "  # as at a terminal
    monkeypatch.setattr(console, "do_cat", interrupted)
    with pytest.raises(KeyboardInterrupt):
        console.onecmd("cat /tmp/x | /bin/busybox sh -c 'cat > /dev/null; echo went on'")
    assert not [task for task in kernel.tasks.values() if task.context is not None and task.alive]
