"""What a start costs: modules that each command imports, counted in a process of its own.

Counts do not depend on the host, as times do; `pkern bench --only start` measures those.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pkern.userland.cli.parser import HelpfulParser
from pkern.userland.cli.plain import Declared, NotPlain
from pkern.userland.cli.program import run

TRUE = "int main(void)\n{\n\treturn 0;\n}\n"

# Each costs more than booting a machine does, or is for another command.
COSTLY = {
    "asyncio",
    "ast",
    "binascii",
    "cffi",
    "dataclasses",
    "difflib",
    "elftools",
    "hashlib",
    "inspect",
    "logging",
    "matplotlib",
    "pathlib",
    "psutil",
    "readline",
    "rich",
    "shutil",
    "socket",
    "ssl",
    "structlog",
    "subprocess",
    "tempfile",
    "traceback",
    "unicorn",
    "pkern.syscalls.strace",
    "pkern.userland.bench",
    "pkern.userland.bochs",
    "pkern.userland.conform",
    "pkern.userland.cpu",
    "pkern.userland.lab",
    "pkern.userland.program",
    "pkern.userland.uml",
}
# What a program that ends at once needs neither: parsing, and what rarer calls bring.
RARER = {
    "argparse",
    "collections",
    "contextlib",
    "enum",
    "functools",
    "heapq",
    "importlib",
    "re",
    "types",
    "typing",
    "warnings",
    "weakref",
}
# Modules beyond those of a bare interpreter: pkern's own, and others.
# Raise them for a reason.
MOST_OWN = 113
MOST_OTHERS = 13

LIST = """\
import sys
bare = set(sys.modules)
from pkern.userland.cli import startup
startup.begin()
from pkern.userland.cli.main import main
try:
    status = main(sys.argv[1:], startup.end)
except SystemExit as left:
    status = left.code
came = sorted(set(sys.modules) - bare)
import json
print(json.dumps([status, came]))
"""


def imported(*arguments: str) -> set[str]:
    """Return the modules that a command line imports; no site-packages' hooks have come before."""
    done = subprocess.run(
        [sys.executable, "-c", LIST, *arguments], capture_output=True, text=True, check=True
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    return set(modules)


def others(modules: set[str]) -> set[str]:
    """Return those that are not pkern's."""
    return {name for name in modules if name.partition(".")[0] != "pkern"}


@pytest.mark.parametrize("flavour", ["glibc", "musl"])
def test_a_program_in_machine_code_imports_what_it_needs(
    compile_c: Callable[..., Path], flavour: str
) -> None:
    modules = imported("run", str(compile_c(TRUE, flavour)))
    assert not modules & (COSTLY | RARER)
    assert len(modules - others(modules)) <= MOST_OWN
    assert len(others(modules)) <= MOST_OTHERS


FORKS = """
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	int pipes[2];
	char byte = 0;
	if (pipe(pipes) || !fork())
		return write(pipes[1], "x", 1) != 1;
	return read(pipes[0], &byte, 1) != 1 || wait(0) < 0 || byte != 'x';
}
"""


def test_nor_do_a_fork_a_pipe_and_a_wait_bring_rare_modules(
    compile_c: Callable[..., Path],
) -> None:
    assert not imported("run", str(compile_c(FORKS))) & (COSTLY | RARER)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_imports_no_machine(arguments: Sequence[str]) -> None:
    modules = imported(*arguments)
    assert not modules & COSTLY
    assert not {name for name in modules if name.startswith("pkern.kernel.core")}
    assert len(modules) <= 50


FALLS = """
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	int status;
	if (!fork())
		*(volatile int *)16 = 1;
	return wait(&status) < 0 || !WIFSIGNALED(status);
}
"""


def test_a_process_that_falls_and_is_caught_costs_no_reading_of_symbols(
    compile_c: Callable[..., Path],
) -> None:
    assert not imported("run", str(compile_c(FALLS))) & COSTLY


def test_what_is_asked_for_is_imported(compile_c: Callable[..., Path]) -> None:
    """The counts above are of modules that a command does not need: here they appear."""
    program = str(compile_c(TRUE))
    assert "pkern.syscalls.strace.tracer" in imported("run", "--strace", program)
    assert "pkern.userland.lab.experiments.gate" in imported("lab", "list")


# Lines of `pkern run` that no parser is imported for, and lines that one is.
PLAIN = [
    "--host=-- prog",
    "-c prog --s --",
    "prog",
    "--ram 64M ./prog --ram 1G -x",
    "--ram=64M --seed 7 --swap= prog",
    "--uid 0 --cap CAP_KILL --cap CAP_CHOWN --strace -t -t -o out prog",
    "--sysctl vm.nonlinear=1 --sysctl=vm.swappiness=0 -e trace=%memory -e status= prog",
    "--env A=B=C --limit NOFILE=64 --call-ns 7 --fail-nth 3 --view-events 2 prog.py -- -h",
    "--rmap pte_chain --nrpte 3 --dmesg --twice --overlay --root / prog - a",
]
NOT_PLAIN = [
    "",
    "--help",
    "-- prog",
    "- prog",
    "--ra 64M prog",
    "-tt prog",
    "-oout prog",
    "-o=out prog",
    "--dmesg=yes prog",
    "--no-such prog",
    "--ram",
    "--ram -1 prog",
    "--ram --dmesg prog",
    "--seed x prog",
    "--uid 4294967295 prog",
    "--rmap none prog",
    "--view-events 0 prog",
]


def declared() -> Declared:
    made = Declared("pkern run")
    run.add_arguments(made)  # type: ignore[arg-type]  # stands for a parser
    return made


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_line_means_what_the_parser_says(line: str) -> None:
    parser = HelpfulParser(prog="pkern run")
    run.add_arguments(parser)
    expected = vars(parser.parse_args(line.split()))
    read = vars(declared().read(line.split()))
    for one in (expected, read):
        del one["refuse"]
    assert read == expected


@pytest.mark.parametrize("line", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_the_parser(line: str) -> None:
    with pytest.raises(NotPlain):
        declared().read(line.split())


# Ctrl-C arrives when the module that is named is looked for.
INTERRUPT = """\
import os, signal, sys
WHICH = sys.argv.pop(1)
def look(event, told):
    if event == "import" and told[0] == WHICH:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(look)
from pkern.__main__ import main

sys.exit(main())
"""


@pytest.mark.parametrize(
    "module",
    [
        "pkern.userland.cli.main",
        "pkern.userland.cli.plain",
        "pkern.userland.cli.program.run",
        "pkern.userland.cli.program.elf_command",
        "pkern.kernel.machine",
        "pkern.kernel.vfs",
        "pkern.kernel.core._core",
        "pkern.syscalls.tasks.threads",  # when the program has begun
    ],
)
def test_an_interrupt_while_modules_are_imported_is_quiet(
    compile_c: Callable[..., Path], module: str
) -> None:
    command = [sys.executable, "-c", INTERRUPT, module, "run", str(compile_c(TRUE))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
