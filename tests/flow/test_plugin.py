"""The pytest plugin, seen from a test run of its own."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from pkern.userland.cli.options import RMAPS

GATE = """
import pytest

@pytest.mark.pkern_sysctl({"vm.nonlinear": 1})
def test_marker(pkern_machine):
    assert int(pkern_machine.sysctl["vm.nonlinear"]) == 1

@pytest.mark.pkern_sysctl("vm.max_map_count=100")
@pytest.mark.pkern_boot(ram="16M")
def test_text_marker(pkern_machine, pkern_user, pkern_root):
    assert int(pkern_machine.sysctl["vm.max_map_count"]) == 100
    assert (pkern_user.getuid(), pkern_root.getuid()) == (1000, 0)
    assert pkern_machine.ram == 16 << 20

@pytest.mark.pkern_all_rmaps
def test_each(pkern_machine, pkern_rmap):
    assert pkern_machine.sysctl["vm.rmap"] == pkern_rmap
"""

SHORT = """
import pytest

pytest_plugins = ["pkern.fixtures"]
"""
SHORT_NAMES = """
import pytest

@pytest.mark.sysctl({"vm.nonlinear": 1})
@pytest.mark.boot(ram="16M")
def test_names(machine, kernel, user, root, task, program):
    assert machine is kernel and int(machine.sysctl["vm.nonlinear"]) == 1
    assert user.task.kernel is root.task.kernel is task.kernel is machine
    assert (user.getuid(), root.getuid(), task.uid) == (1000, 0, 1000)
    assert machine.ram == 16 << 20 and callable(program)

@pytest.mark.all_rmaps
def test_each(machine): pass
"""

FAILING = """
def helper(sys):
    sys.munmap(1, 4096)

def test_fails(pkern_machine, pkern_user):
    pkern_machine.log.write(6, "a line of the log")
    helper(pkern_user)
"""

BROKEN = """
def test_breaks_the_kernel(pkern_machine, pkern_user):
    pkern_machine.counters.nr_free += 1
"""

WRONG = """
import pytest

@pytest.mark.pkern_sysctl({"vm.nonlinaer": 1})
def test_sysctl(pkern_machine): pass

@pytest.mark.pkern_boot(rma="objrmap")
def test_boot(pkern_machine): pass

@pytest.mark.pkern_boot("16M")
def test_place(pkern_machine): pass

@pytest.mark.pkern_bot(ram="16M")
def test_marker(pkern_machine): pass
"""


def test_markers_and_parametrisation(pytester):
    pytester.makepyfile(GATE)
    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=2 + len(RMAPS))


def test_option_runs_every_reverse_map(pytester):
    pytester.makepyfile("def test_it(pkern_machine): pass")
    pytester.runpytest_inprocess("--pkern-rmap", "all").assert_outcomes(passed=len(RMAPS))


def test_the_short_names_are_for_those_who_ask(pytester):
    pytester.makepyfile(SHORT_NAMES)
    refused = pytester.runpytest_subprocess("--strict-markers")
    refused.stdout.fnmatch_lines(["*'sysctl' not found in `markers`*"])
    pytester.makeconftest(SHORT)
    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=1 + len(RMAPS))


@pytest.mark.parametrize(
    ("listing", "wanted"),
    [
        (
            "--fixtures",
            {"pkern_machine", "pkern_program", "pkern_rmap", "pkern_root", "pkern_user"},
        ),
        ("--markers", {f"@pytest.mark.pkern_{name}" for name in ("sysctl", "boot", "all_rmaps")}),
        ("--help", {"--pkern-rmap", "--pkern-branch"}),
    ],
)
def test_every_name_that_is_taken_unasked_begins_with_pkern(pytester, listing, wanted):
    def names(*options):
        lines = pytester.runpytest_inprocess(listing, *options).stdout.lines
        entry = re.compile(r"\s*(--\w[\w-]*|@[\w.]+|\w+(?=.* -- ))")
        return {found[1] for line in lines if (found := entry.match(line))}

    assert names() - names("-p", "no:pkern") == wanted


def test_loading_the_plugin_imports_almost_nothing():
    """Every test run of the environment loads it."""
    program = """
import sys
import pytest
before = set(sys.modules)
import pkern.userland.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["pkern", "pkern.userland", "pkern.userland.pytest_plugin"], (
        done.stderr
    )


def test_a_project_with_folders_of_the_same_names(pytester):
    for name in ("kernel", "syscalls", "userland"):
        pytester.mkpydir(name)
    pytester.makepyfile("""
        import kernel, syscalls, userland

        def test_both(pkern_user):
            assert kernel.__file__.endswith("kernel/__init__.py")
            assert "pkern" in type(pkern_user).__module__
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


# ---- programs in machine code ----

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char line[80] = "", cwd[80];
    if (argc > 1 && !strcmp(argv[1], "crash"))
        fputs("about to\n", stderr), *(volatile int *)8 = 1;
    if (argc > 1 && !strcmp(argv[1], "memory")) return malloc(64 << 20) ? 0 : 9;
    printf("%s %s %d %s %s", argv[1], getenv("NAME"), getuid(), getcwd(cwd, 80),
           fgets(line, 80, stdin));
    return 3;
}
"""
RUNS = """
from pathlib import Path
PROGRAM = {program!r}

def test_what_it_did(pkern_program):
    given = dict(env={{"NAME": "two"}}, stdin="line\\n", cwd="/tmp/d", uid=7)
    ran = pkern_program(PROGRAM).run("one", **given)
    assert (ran.status, ran.signal, ran.err) == (3, None, b"")
    assert ran.out == b"one two 7 /tmp/d line\\n"
    assert "[stack]" in ran.maps and PROGRAM in ran.maps

def test_how_it_died(pkern_program):
    ran = pkern_program(Path(PROGRAM)).run("crash")
    assert (ran.status, ran.signal.name, ran.err) == (139, "SIGSEGV", b"about to\\n")
    assert any("segfault at 8" in line for line in ran.log)

def test_limits(pkern_program):
    program = pkern_program(PROGRAM)
    assert program.run("memory").status == 0
    assert program.run("memory", limits={{"AS": 32 << 20}}).status == 9

def test_fails(pkern_program):
    assert pkern_program(PROGRAM).run("crash").status == 0
"""


@pytest.fixture(scope="module")
def static_program(tmp_path_factory):
    """Compile PROGRAM; return its path."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("program")
    (folder / "main.c").write_text(PROGRAM)
    command = ["gcc", "-static", "-O1", "-w", "main.c", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    return str(folder / "main")


def test_programs_in_machine_code(pytester, static_program):
    pytester.makepyfile(RUNS.format(program=static_program))
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert pkern_program(PROGRAM).run*",
            f"*pkern: {static_program} crash: killed by SIGSEGV; its maps at the end*",
            "*[[]stack]*",
            "*pkern: what it wrote to standard error*",
            "about to",
            "*pkern: kernel log*",
            "*segfault at 8*",
        ]
    )


# ---- failures ----


def test_failure_shows_own_frames_then_maps_and_log(pytester):
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*helper(pkern_user)*",
            "> *sys.munmap(1, 4096)*",
            "E *Invalid argument*",
            "*/maps*",
            "*[[]stack]*",
            "*kernel log*",
            "*a line of the log*",
        ]
    )
    result.stdout.no_fnmatch_line("*pkern/*.py*")
    whole = pytester.runpytest_inprocess("--full-trace")
    whole.stdout.fnmatch_lines(["*kernel/mm/memory.py:*"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("pkern_program('/proc/nope').run()", "*FileNotFoundError*/proc/nope*"),
        ("pkern_program('/bin/sh').run(3)", "*TypeError*must be a str, not int*"),
        ("pkern_program('/bin/sh').run(uid=-1)", "*ValueError*'uid' is a number from 0*"),
        ("pkern_program('/bin/sh').run(ram='4M')", "*TypeError*runs already takes no 'ram'*"),
        ("pkern_user.mmpa(1)", "*AttributeError*no call or constant 'mmpa'*mean mmap*"),
        ("pkern_program('/bin/sh').run(timeout=-1)", "*timeout takes a number of seconds*"),
        ("pkern_user.mmap('x', 1, 1, 1)", "*TypeError*'addr' must be an int*"),
    ],
)
def test_what_a_test_does_wrong_shows_its_own_frames_only(pytester, body, words):
    pytester.makepyfile(f"def test_it(pkern_program, pkern_user):\n    {body}")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([words])
    for line in result.outlines:
        assert not re.match(r"\S*(userland|kernel|syscalls|python[^/]*)/\S*\.py:\d+:", line)


def test_a_machine_that_cannot_be_is_one_sentence(pytester):
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.pkern_boot(ram="1" * 30)
        def test_it(pkern_machine): pass
        """
    )
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(["a marker of this test asks for*less than 16T of RAM*"])


def test_a_fault_in_pkern_itself_keeps_its_frames(pytester):
    pytester.makepyfile(
        "def test_it(pkern_user): pkern_user.task.mm = None; pkern_user.munmap(0, 1)"
    )
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(["*AttributeError*", "*syscalls/memory/mman.py:*"])


@pytest.mark.parametrize("how", [(), ("-n", "1"), ("--tb", "short")], ids=" ".join)
def test_junit_has_maps_and_log_too(pytester, how):
    pytester.makepyfile(FAILING)
    pytester.runpytest_inprocess("--junitxml", "report.xml", *how)
    (failure,) = ElementTree.parse(pytester.path / "report.xml").iter("failure")
    places = [
        failure.text.rindex(text)
        for text in ("sys.munmap(1, 4096)", "[stack]", "pkern: kernel log", "a line of the log")
    ]
    assert places == sorted(places)


def test_a_wrong_counter_is_found_after_the_test(pytester):
    pytester.makepyfile(BROKEN)
    result = pytester.runpytest_inprocess()
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["*KernelBug*", "*/maps*", "*[[]stack]*", "*kernel log*"])


def test_a_wrong_marker_is_one_sentence(pytester):
    pytester.makepyfile(WRONG)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=4)
    meant = ("vm.nonlinear", "rmap", "pkern_boot")
    result.stdout.fnmatch_lines_random([f"*did you mean {name}?*" for name in meant])
    result.stdout.fnmatch_lines(["*pkern_boot takes parameters by their names*"])
    result.stdout.no_fnmatch_line("*Traceback*")
