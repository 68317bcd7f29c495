"""The command line: what it does, and the sentences with which it refuses."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pkern import __version__
from pkern.userland.cli import options, parser
from pkern.userland.cli.main import COMMANDS, main
from pkern.userland.failures import is_ours

PROGRAM = """\
def main(sys, argv):
    print(argv[1:], sys.getpid() > 0)
    return len(argv)
"""


def run(capsys, *arguments):
    """Return exit status, output and complaint of a command line."""
    try:
        status = main(arguments)
    except SystemExit as left:
        status = left.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_help_teaches_with_examples(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert "pkern run prog.py" in out
    assert "pkern bochs --file" in out


def test_run_passes_arguments_and_gives_the_exit_status(capsys, tmp_path):
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    status, out, _ = run(capsys, "run", str(program), "one", "--two")
    assert (status, out) == (3, "['one', '--two'] True\n")


def test_a_wrong_flag_names_the_flag_that_was_meant(capsys, tmp_path):
    status, _, err = run(capsys, "run", "--sysctrl", "vm.nonlinear=1", str(tmp_path / "x.py"))
    assert status == 2
    assert "--sysctl" in err
    assert "--help" in err


def test_a_wrong_command_is_refused(capsys):
    status, _, err = run(capsys, "runn")
    assert status == 2
    assert "runn" in err
    assert "did you mean run?" in err


def test_the_version_is_the_packages(capsys):
    assert run(capsys, "--version") == (0, f"pkern {__version__}\n", "")


def test_a_missing_file_names_its_neighbour(capsys, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    status, _, err = run(capsys, "run", str(tmp_path / "progam.py"))
    assert status == 127
    assert f"did you mean '{tmp_path / 'program.py'}'?" in err


def test_a_folder_is_not_a_program(capsys, tmp_path):
    status, _, err = run(capsys, "run", str(tmp_path))
    assert status == 126
    assert "is a directory" in err


def test_what_may_fail_in_sysctl_conf_is_left_out(capsys, tmp_path):
    conf = tmp_path / "sysctl.conf"
    conf.write_text("-vm.unknown = 1\n- vm/swappiness = 999\n-vm.max_map_count = 77\n")
    status, out, _ = run(capsys, "sysctl", "--sysctl-file", str(conf))
    assert status == 0
    assert re.search(r"vm\.max_map_count +77 ", out)
    assert re.search(r"vm\.swappiness +60 ", out)


@pytest.mark.parametrize("uid", ["-4", "4294967295", "root"])
def test_a_user_is_a_number(capsys, uid):
    status, _, err = run(capsys, "run", f"--uid={uid}", "prog.py")
    assert status == 2
    assert f"from 0 to 4294967294, not '{uid}'" in err


@pytest.mark.parametrize("flag", ["--root", "--host", "--sysctl-file"])
def test_an_empty_path_is_refused_not_ignored(capsys, flag):
    status, _, err = run(capsys, "run", f"{flag}=", "/bin/true")
    assert status == 2
    assert f"argument {flag}: a path, not ''" in err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["sysctl", "--sysctl", "vm.nonlinaer=1"], "vm.nonlinear"),
        (["sysctl", "vm.nonliner"], "vm.nonlinear"),
        (["sysctl", "vm/nonliner"], "vm.nonlinear"),
        (["sysctl", "--cpu", "pk"], "pku"),
        (["syscalls", "mreamp"], "mremap"),
        (["lab", "rn"], "run"),
        (["lab", "run", "gat"], "gate"),
        (["run", "--rmap", "pte_chan", "/bin/true"], "pte_chain"),
        (["run", "--inject", "mmpa:error=ENOMEM", "/bin/true"], "mmap"),
        (["run", "--inject", "mmap:eror=ENOMEM", "/bin/true"], "error"),
        (["run", "--inject", "mmap:error=ENOMEN", "/bin/true"], "ENOMEM"),
        (["run", "--inject", "mmap:signal=SIGSEG", "/bin/true"], "SIGSEGV"),
        (["run", "--limit", "NOFLIE=3", "/bin/true"], "NOFILE"),
        (["run", "-E", "vmscn:*", "/bin/true"], "vmscan"),
        (["suite", "--matrix", "rmpa=all", "/bin/true"], "rmap"),
        (["explore", "--strategy", "exhaustiv", "/bin/true"], "exhaustive"),
    ],
)
def test_a_misspelt_name_gets_the_nearest(capsys, words, meant):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert f"did you mean {meant}?" in err


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (["vm.swappiness=3"], "vm.swappiness=3"),
        (["-w", "vm/swappiness=3"], "vm.swappiness=3"),
        (["-w", "vm.swappiness"], "NAME=VALUE"),
    ],
)
def test_a_sysctl_is_set_where_a_machine_is(capsys, words, setting):
    status, _, err = run(capsys, "sysctl", *words)
    assert status == 2
    assert err == (
        "pkern: 'pkern sysctl' shows what a machine would have and sets nothing;"
        f" 'pkern run --sysctl {setting} PROGRAM' does\n"
    )


@pytest.mark.parametrize("name", [*COMMANDS, "lab list", "lab run", "lab report"])
def test_every_page_of_help_has_examples(capsys, name):
    told = run(capsys, *name.split(), "--help")[1].partition("\nexamples:\n")[2]
    assert f"  pkern {name}" in told


@pytest.mark.parametrize("pair", ["vm.nonlinear=7", "vm.nonlinear=", "vm.nonlinear=yes"])
def test_a_bad_value_is_explained(capsys, pair):
    status, _, err = run(capsys, "sysctl", "--sysctl", pair)
    assert status == 2
    assert "vm.nonlinear cannot be" in err


def test_a_bad_value_names_the_range(capsys):
    status, _, err = run(capsys, "sysctl", "--sysctl", "vm.swappiness=999")
    assert status == 2
    assert "vm.swappiness cannot be '999' (Invalid argument): it takes 0..200." in err


@pytest.mark.parametrize("swap", ["1", "1K", "4096", "8191"])
def test_swap_without_room_for_a_page_is_one_sentence(capsys, swap):
    status, _, err = run(capsys, "sysctl", "--swap", swap)
    assert status == 2
    assert err.startswith("pkern: the machine does not boot: swap takes 8192 bytes or more, not ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", [["run", "{program}"], ["console"]])
def test_a_stack_that_may_not_be_promised_is_one_sentence(capsys, tmp_path, command):
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    words = [word.format(program=program) for word in command]
    strict = ["--sysctl", "vm.overcommit_memory=2", "--sysctl", "vm.overcommit_kbytes=100"]
    status, out, err = run(capsys, words[0], *strict, *words[1:])
    assert (status, out) == (1, "")
    assert "no room for the stack of" in err
    assert err.count("\n") == 1


def test_a_pair_without_a_value_is_explained(capsys):
    status, _, err = run(capsys, "sysctl", "--sysctl", "vm.nonlinear")
    assert status == 2
    assert "NAME=VALUE" in err


@pytest.mark.parametrize(
    ("ram", "shown"),
    [("0", "not 0 bytes"), ("-1M", "'-1M'"), ("12Q", "'12Q'"), ("many", "'many'"), ("1K", "1024")],
)
def test_a_wrong_size_of_ram_is_explained(capsys, ram, shown):
    status, _, err = run(capsys, "sysctl", f"--ram={ram}")
    assert status == 2
    assert shown in err


def test_every_command_explains_itself_with_an_example(capsys):
    _, out, _ = run(capsys, "--help")
    commands = re.findall(r"^    ([a-z]+) +[a-z]", out, re.MULTILINE)
    assert len(commands) >= 12
    for name in commands:
        assert f"  pkern {name}" in run(capsys, name, "--help")[1].replace("example:", " "), name


def test_a_command_without_a_description_has_none_in_its_help(capsys):
    assert "None" not in run(capsys, "lab", "--help")[1]


def test_help_is_as_narrow_as_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr(parser, "_help_width", lambda: 80)
    for name in ("run", "suite"):
        text = run(capsys, name, "--help")[1]
        told, _, rest = text.partition("\nexamples:")
        lines = [*told.splitlines(), *rest.partition("\n\n")[2].splitlines()]
        assert max(map(len, lines)) <= 80
        assert f"usage: pkern {name} [OPTION ...] PROGRAM" in told


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("bochs", "--file", "/dev/zero"), "no regular file"),
        (("bench", "--json", "/proc/self/nope/bench.json"), "cannot be written"),
        (("run", "--uid", "-1", "prog.py"), "'-1'"),
        (("run", "--seed", "x", "prog.py"), "--seed: a whole number, not 'x'."),
        (("run", "--s", "3", "prog.py"), "unrecognized arguments: --s. Did you mean --"),
        (("conform", "--sequences=--"), "--sequences: a whole number, not '--'."),
        (("run", "--fail-nth", "9" * 20, "prog.py"), "no number above 2**64 - 1. 'pkern run"),
        (("run", "--rmap", "objrmapp", "prog.py"), "did you mean objrmap? 'pkern run"),
        (("run", "--swap", "1000000T", "{program}"), "at most, not 1099511627776000000"),
        (("uml", "--clock-lead", "nan", "{program}"), "--clock-lead: a number, not 'nan'."),
        (("uml", "--clock-lead", "1e301", "{program}"), "--clock-lead takes "),
        (("run", "--host", "/proc/self/mem", "{program}"), "not a directory"),
        (("bochs",), "required: --file. 'pkern"),
        (("run",), "required: PROGRAM. 'pkern"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(capsys, tmp_path, arguments, shown):
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    status, _, err = run(capsys, *(word.format(program=program) for word in arguments))
    assert status == 2
    assert shown in err
    assert err.count("\n") == 1


def test_bench_names_its_rows_one_a_line(capsys):
    status, _, err = run(capsys, "bench", "--only", "zzzz")
    first, *names = err.splitlines()
    assert (status, first) == (2, "pkern: --only zzzz: no row has this in its name; choose of")
    assert "  translate, warm TLB: C" in names


def test_a_folder_that_cannot_be_is_told_before_the_work(capsys, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for words in (["run", "gate", "--tiny", "--folder"], ["report", "--tiny"]):
        status, out, err = run(capsys, "lab", *words, str(file))
        assert (status, out) == (1, "")
        assert err == f"pkern: '{file}' cannot be written: File exists\n"


def test_a_program_that_does_not_fit_says_so(capsys, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(bytes(2 << 20))
    status, _, err = run(capsys, "run", "--ram", "1M", str(program))
    assert status == 2
    assert "does not fit into the machine's RAM" in err


def test_sysctl_shows_value_range_and_help(capsys):
    status, out, _ = run(capsys, "sysctl", "-a", "nonlinear", "--sysctl", "vm.nonlinear=1")
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("vm.nonlinear ")]
    assert line.split()[1] == "1"


@pytest.mark.parametrize("command", ["syscalls", "docs", "lab"])
def test_what_prints_docstrings_says_that_there_are_none(capsys, monkeypatch, command):
    monkeypatch.setattr("sys.flags", SimpleNamespace(optimize=2))
    complaint = f"pkern: 'pkern {command}' prints docstrings, and Python's -OO has left them out\n"
    assert run(capsys, command) == (2, "", complaint)


def test_sysctl_file_in_sysctl_conf_format(capsys, tmp_path):
    conf = tmp_path / "sysctl.conf"
    conf.write_text("# a comment\n; another\n\nvm/nonlinear = 1\nvm.max_map_count=1000\n")
    status, out, _ = run(capsys, "sysctl", "--sysctl-file", str(conf), "max_map")
    assert status == 0
    assert " 1000 " in out


def test_a_name_after_a_dash_may_be_missing(capsys, tmp_path):
    conf = tmp_path / "sysctl.conf"
    conf.write_text("-vm.nope = 3\n- vm.swappiness = 7\n-vm.nonlinear = 9\n")
    status, out, _ = run(capsys, "sysctl", "--sysctl-file", str(conf), "swappiness")
    assert status == 0
    assert " 7 " in out


def test_a_sysctl_file_of_noise_says_which_line(capsys, tmp_path):
    conf = tmp_path / "sysctl.conf"
    conf.write_bytes(b"\xff\xfe\x00\n")
    status, _, err = run(capsys, "sysctl", "--sysctl-file", str(conf))
    assert status == 2
    assert "line 1" in err


PACKED = """\
from __future__ import annotations
import pickle
from dataclasses import dataclass
from helper import ANSWER

@dataclass
class Point:
    x: int

def main(sys):
    print(pickle.loads(pickle.dumps(Point(ANSWER))))
"""


def test_a_program_has_helpers_and_classes_as_under_python(capsys, tmp_path):
    (tmp_path / "helper.py").write_text("ANSWER = 42\n")
    program = tmp_path / "prog.py"
    program.write_text(PACKED)
    assert run(capsys, "run", str(program)) == (0, "Point(x=42)\n", "")


def test_sysctl_file_with_a_wrong_line_says_which(capsys, tmp_path):
    conf = tmp_path / "sysctl.conf"
    conf.write_text("vm.nonlinear = 1\nnonsense\n")
    status, _, err = run(capsys, "sysctl", "--sysctl-file", str(conf))
    assert status == 2
    assert "line 2" in err


def test_syscalls_shows_the_support_table(capsys):
    status, out, _ = run(capsys, "syscalls", "remap_file")
    assert status == 0
    assert "216" in out


def test_a_host_directory_that_does_not_exist(capsys, tmp_path):
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    status, _, err = run(capsys, "run", "--host", str(tmp_path / "no"), str(program))
    assert status == 2
    assert "not a directory" in err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def main(sys):\n    sys.open('/nope', 0, 0)\n", "[Errno 2]"),
        ("def main(sys):\n    x = (\n", "SyntaxError"),
        ("import math\nmath.nope\ndef main(sys): pass\n", "AttributeError"),
        ("def main(sys):\n    sys.kernel.sysctls\n", "id you mean"),
        ("def main(sys):\n    sys.kernel.counters.pswout\n", "id you mean"),
        ("def main(sys):\n    sys.kernel.sysctl['vm.nonliner']\n", "did you mean vm.nonlinear?"),
    ],
)
def test_a_failing_program_sees_its_own_lines_only(capsys, tmp_path, text, shown):
    program = tmp_path / "prog.py"
    program.write_text(text)
    status, _, err = run(capsys, "run", str(program))
    assert status == 1
    assert f'File "{program}", line 2' in err
    assert shown in err
    assert "syscalls" not in err
    assert "importlib" not in err


@pytest.mark.parametrize(
    ("call", "wrong", "meant"),
    [
        ("mmap(lenght=4096)", "lenght", "length"),
        ("load(0, nbyte=1)", "nbyte", "nbytes"),
        ("kernel.io_pending(knd=1)", "knd", "kind"),
    ],
)
def test_a_wrong_keyword_names_the_one_that_was_meant(capsys, tmp_path, call, wrong, meant):
    program = tmp_path / "prog.py"
    program.write_text(f"def main(sys):\n    sys.{call}\n")
    status, _, err = run(capsys, "run", str(program))
    assert status == 1
    # The guess is ours, or Python's own from 3.13 on.
    assert re.search(rf"argument '{wrong}'(; did|\. Did) you mean '?{meant}'?\?", err)


def test_a_fatal_access_names_its_line(capsys, tmp_path):
    program = tmp_path / "prog.py"
    program.write_text("def main(sys):\n    sys.store(0x1000, b'x')\n")
    status, _, err = run(capsys, "run", str(program))
    assert status == 128 + 11
    assert f'File "{program}", line 2' in err
    assert "SIGSEGV, store to 0x1000 (SEGV_MAPERR" in err
    assert "userland" not in err


def test_a_program_in_the_projects_own_folder_is_the_users():
    root = Path(options.__file__).parents[2]
    assert not is_ours(str(root / "prog.py"))
    assert is_ours(str(root / "userland" / "program.py"))


@pytest.mark.parametrize("text", ["def main(): pass", "main = 5", "def main(a, b, c): pass"])
def test_a_main_that_takes_no_sys_is_explained(capsys, tmp_path, text):
    program = tmp_path / "prog.py"
    program.write_text(text)
    status, _, err = run(capsys, "run", str(program))
    assert status == 2
    assert "takes neither (sys) nor (sys, argv)" in err


def test_the_console_of_the_machine_is_standard_error(capsys, tmp_path):
    program = tmp_path / "prog.py"
    program.write_text("def main(sys):\n    sys.task.kernel.log.write(3, 'broken')\n")
    assert "] broken\n" in run(capsys, "run", str(program))[2]
    quiet = run(capsys, "run", "--sysctl", "kernel.printk=3", str(program))
    assert quiet == (0, "", "")


def test_ctrl_c_is_quiet_before_anything_else_is_imported() -> None:
    code = "import pkern.__main__, signal; print(signal.getsignal(signal.SIGINT).name)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "SIG_DFL\n"
