"""The command `pkern run`: its grammar, and which kind of program is run how."""

from __future__ import annotations

import os
import sys

from pkern.kernel import late
from pkern.kernel.typed import TYPE_CHECKING, Any, Sequence
from pkern.userland.cli.options import (
    UsageError,
    add_command,
    add_machine_options,
    add_mount,
    check_writable,
    existing,
    natural,
    positive,
    some_path,
    user_id,
)

if TYPE_CHECKING:
    import argparse

    from pkern.syscalls.strace.tracer import Style
    from pkern.userland.cli.parser import HelpfulParser
    from pkern.userland.failing import Failing
    from pkern.userland.given import Given
    from pkern.userland.injection import Injector, Rule

HELP = """\
PROGRAM is FILE.py, which holds `def main(sys)` or `def main(sys, argv)` and whose result is the
exit status, or a program in machine code (x86-64 ELF, or a script), which runs unmodified on the
kernel's page tables. The machine is a fresh one: it has /dev, /proc, /tmp, and what --root and
--bind show of the host. A program in machine code is a file of --root; without, it is found at its
own path. FILE.py is always a file of the host. pkern's options stand before PROGRAM; whatever
stands behind it is the program's.

The exit status is the program's; 128+n where signal n ended it; 124 where its time was up; 126
where it cannot be executed, 127 where it is not found; 2 for a wrong request, 1 where pkern failed.

examples:
  pkern run prog.py one two
  pkern run --ram 16M --sysctl vm.nonlinear=1 --dmesg prog.py
  pkern run /bin/busybox ps                      a program in machine code
  pkern run --root / -- /bin/sh -c 'ls /'        the host's files, read only
  pkern run --root / --overlay --uid 0 /bin/rm -r /usr   changes are kept in memory
  pkern run --root / prog.py                     the same files for a program in Python
  pkern run --bind src --bind out:/out:rw ./tool directories of the host
  pkern run --env LANG=C --env HOME --cwd /tmp --stdin input.txt ./tool
  pkern run --limit NOFILE=64 --limit AS=256M:1G --timeout 10 ./tool
  pkern run -e trace=%memory -o calls.txt ./tool strace of some calls, to a file
  pkern run -c ./tool                            how often it makes which call
  pkern run --events trace.json ./tool           what the kernel does, for Perfetto
  pkern run -E 'vmscan:*' -E oom ./tool          some of that, as ftrace prints it
  pkern run --hook hooks.py ./tool               your functions at its faults, calls, symbols
  pkern run --inject mmap:error=ENOMEM:when=3 ./tool   its third mmap fails
  pkern run --json end.json ./tool               how it ended, for a script
  pkern run --gdb 1234 ./tool                    gdb ./tool -ex 'target remote :1234'
  pkern run --view run.html prog.py              a page to look at, event by event
  pkern run --twice prog.py                      check that two runs do the same
"""
PLAIN = True
INJECTING = ("inject=", "fault=")  # expressions of -e that injection.py reads
TRACING = ("strace", "expressions", "output", "summary", "stamps", "stacks")
STAMPS = ("NONE", "SECONDS", "MICROSECONDS", "EPOCH")  # by how often -t is given


def add_arguments(parser: HelpfulParser) -> None:
    """Add what stands behind `pkern run`."""
    add_command(parser)
    _add_given(parser)
    add_files(parser)
    _add_shown(parser)
    add_machine_options(parser)
    parser.set_defaults(known=_long_options(parser), refuse=parser.error)


def add_who(parser: argparse.ArgumentParser, uid: int) -> argparse._ArgumentGroup:
    """Add who the program is, and what else any program is given. Return their group."""
    group = parser.add_argument_group("what the program is given")
    group.add_argument("--uid", type=user_id, default=uid, help=f"its user; 0 is root ({uid})")
    group.add_argument(
        "--cap", action="append", default=[], metavar="CAP_NAME", help="grant a capability"
    )
    group.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set a variable; without =VALUE it is the host's, if the host has it",
    )
    group.add_argument("--cwd", metavar="DIR", help="its working directory, made if need be")
    group.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=SOFT[:HARD]",
        help="a resource limit of setrlimit(2), as NOFILE=64, AS=1G, STACK=unlimited",
    )
    return group


def _add_given(parser: argparse.ArgumentParser) -> None:
    group = add_who(parser, uid=1000)
    group.add_argument("--stdin", metavar="FILE", help="a host file as its standard input")
    group.add_argument(
        "--fail-nth",
        type=natural,
        default=0,
        metavar="N",
        help="let its Nth allocation of memory in the kernel fail",
    )
    group.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="KIND:N",
        help="let memory run out at the Nth allocation (oom), or the Nth page fail that is read or"
        " written (file_read, writeback, swap_read, swap_write)",
    )
    group.add_argument(
        "--fail-exec",
        action="store_true",
        help="count what --fail and --fail-nth name from the execve that starts it on",
    )
    group.add_argument(
        "--inject",
        action="append",
        default=[],
        metavar="CALLS:...",
        help="put faults into calls as strace does: mmap:error=ENOMEM:when=3 (docs/faults.md)",
    )
    group.add_argument(
        "--timeout", metavar="SECONDS", help="end it after so much virtual time: status 124"
    )
    group.add_argument(
        "--wall",
        metavar="SECONDS",
        help="the same by the host's clock: the only option that makes runs differ",
    )


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add what a machine shows of the host."""
    group = parser.add_argument_group("what it sees of the host")
    group.add_argument(
        "--root", type=some_path, metavar="DIR", help="a host directory as /, read only"
    )
    group.add_argument(
        "--overlay", action="store_true", help="--root may be written: changes stay in memory"
    )
    group.add_argument(
        "--bind",
        action="append",
        default=[],
        metavar="HOST[:INSIDE][:rw]",
        help="show a host directory, at its own path or at INSIDE; read only without rw",
    )


def _add_shown(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is shown")
    _add_strace(group)
    group.add_argument("--dmesg", action="store_true", help="print the kernel's log at the end")
    _add_events(group)
    group.add_argument("--json", metavar="FILE", help="write there how the program ended")
    add_mount(group)
    _add_debuggers(group)
    group.add_argument(
        "--twice", action="store_true", help="run it on two machines and compare all they do"
    )


def _add_strace(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--strace", action="store_true", help="print each system call to stderr")
    group.add_argument(
        "-e",
        dest="expressions",
        action="append",
        default=[],
        metavar="EXPR",
        help="strace what strace's EXPR says: trace=%%memory, trace=!mmap, signal=, status=",
    )
    group.add_argument(
        "-k", dest="stacks", action="store_true", help="strace with the stack of each call"
    )
    group.add_argument("-o", dest="output", metavar="FILE", help="strace to a file")
    group.add_argument(
        "-c", dest="summary", action="store_true", help="strace: a table of counts at the end"
    )
    group.add_argument(
        "-t",
        dest="stamps",
        action="count",
        default=0,
        help="strace with virtual time; -tt with microseconds, -ttt since 1970",
    )


def _add_events(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--view", metavar="FILE.html", help="write a page that shows memory at each event"
    )
    group.add_argument(
        "--view-events",
        type=positive,
        default=0,
        metavar="N",
        help="of the first N events (10,000)",
    )
    group.add_argument(
        "--events",
        metavar="FILE",
        help="write what the kernel does: .json for Perfetto and Chrome, .jsonl, else as ftrace",
    )
    group.add_argument(
        "-E",
        dest="globs",
        action="append",
        default=[],
        metavar="GLOB",
        help="only such events, as vmscan:*, kmem:mm_page_alloc; without --events to stderr",
    )


def _add_debuggers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--pdb", action="store_true", help="FILE.py: start Python's debugger at a call that fails"
    )
    group.add_argument(
        "--gdb",
        metavar="PORT|-",
        help="wait there for gdb (target remote), and let it debug the program",
    )
    group.add_argument(
        "--hook",
        metavar="FILE.py",
        help="call its on_fault, on_syscall, on_return and @at(SYMBOL) while the program runs",
    )


def _long_options(parser: HelpfulParser) -> frozenset[str]:
    """Return the options that a program is not likely to have itself."""
    return frozenset(flag for flag in parser.flags() if flag.startswith("--")) - {"--help"}


def load(options: argparse.Namespace) -> Any:
    """Import and return what runs this kind of program; its name and arguments are told apart."""
    options.explicit = options.command[:1] == ["--"]
    command = options.command[options.explicit :]
    if not command:
        options.refuse("the following arguments are required: PROGRAM")
    options.file, *options.arguments = command
    name = "python_command" if _is_python(options) else "elf_command"
    return late.load(f"pkern.userland.cli.program.{name}")


def _is_python(options: argparse.Namespace) -> bool:
    return bool(options.file.endswith(".py"))


def run(options: argparse.Namespace) -> int:
    """Run a program and return its exit status."""
    kind = load(options)
    if not options.explicit:
        _note_late_options(options)
    check_files(options)
    check_debugger(options)
    check_writable(options.json, options.output, options.events)
    if options.view_events and options.view is None:
        raise UsageError("--view-events: of a page that --view FILE.html writes")
    if options.view is not None:
        _check_view(options)
    if _is_python(options):
        program_file(options.file)
    status: int = kind.run(options)
    return status


def _check_view(options: argparse.Namespace) -> None:
    from pkern.userland.cli.program.shared import check_view

    if options.twice:
        raise UsageError("--view and --twice: one run is shown, not two")
    check_view(options.view)


def check_files(options: argparse.Namespace) -> None:
    """Refuse options of add_files that make no sense together. Errors: UsageError."""
    if options.overlay and not options.root:
        raise UsageError(
            "--overlay needs --root DIR: without it the root is in memory and may be written anyway"
        )


def check_debugger(options: argparse.Namespace) -> None:
    """Refuse a debugger where there cannot be one. Errors: UsageError."""
    if options.pdb and not _is_python(options):
        raise UsageError("--pdb is for programs in Python; --gdb debugs those in machine code")
    if options.pdb and options.twice:
        raise UsageError("--pdb and --twice: a debugger is not told the same twice")
    if options.stacks and _is_python(options):
        raise UsageError("-k is for programs in machine code")
    if options.hook is not None:
        _check_hook(options)
    if options.gdb is None:
        return
    if _is_python(options):
        raise UsageError("--gdb is for programs in machine code; --pdb debugs those in Python")
    for option, asked in (("--twice", options.twice), ("--wall", options.wall)):
        if asked:
            raise UsageError(f"--gdb and {option}: a debugger takes the time that it wants")


def _check_hook(options: argparse.Namespace) -> None:
    if _is_python(options):
        raise UsageError("--hook is for programs in machine code")
    for option, asked in (("--twice", options.twice), ("--gdb", options.gdb is not None)):
        if asked:
            raise UsageError(f"--hook and {option}: one of them at a time")


def _note_late_options(options: argparse.Namespace) -> None:
    """Say so where what stands behind the program's name looks as if it were meant for pkern."""
    words = options.arguments[: (*options.arguments, "--").index("--")]
    late = next((word for word in words if word.split("=")[0] in options.known), None)
    if late is not None:
        print(
            f"pkern: '{late}' stands behind the program's name, so it is the program's; an option"
            f" of pkern's stands before '{options.file}'",
            file=sys.stderr,
        )


def program_file(name: str) -> str:
    """Return a program of the host, or raise UsageError with the exit status of a shell."""
    try:
        return existing(name)
    except UsageError as error:
        missing = not name or not os.path.exists(os.path.expanduser(name))
        raise UsageError(str(error), 127 if missing else 126) from error


# ---- reading the options ----


def given(options: argparse.Namespace, cwd: str | None = None) -> Given:
    """Return what the options give the program. cwd: without --cwd. Errors: UsageError."""
    failing = _failing(options)
    made = given_to((options.file, *options.arguments), options, cwd)
    made = made._replace(timeout_ns=_nanoseconds("--timeout", options.timeout))
    if options.fail_exec:
        return made._replace(failing_exec=failing)
    return made._replace(failing=failing)


def _failing(options: argparse.Namespace) -> tuple[Failing, ...]:
    if not options.fail_nth and not options.fail:
        return ()
    from pkern.userland.failing import ALLOCATION, BadFailure, Failing, read_failing

    allocations = [Failing(ALLOCATION, options.fail_nth)] if options.fail_nth else []
    try:
        return (*allocations, *map(read_failing, options.fail))
    except BadFailure as error:
        raise UsageError(str(error)) from error


def command_line(options: argparse.Namespace) -> str:
    """Return the program's name and arguments as a shell takes them."""
    import shlex

    return shlex.join((options.file, *options.arguments))


def given_to(argv: tuple[str, ...], options: argparse.Namespace, cwd: str | None) -> Given:
    """Return what the options of add_who give a program. Errors: UsageError."""
    from pkern.userland.given import Given, NotGiven, read_env, read_limit

    try:
        return Given(
            argv,
            uid=options.uid,
            caps=_capabilities(options.cap),
            env=read_env(options.env) if options.env else None,
            cwd=_directory(options.cwd) or cwd,
            limits=dict(read_limit(text) for text in options.limit),
        )
    except NotGiven as error:
        raise UsageError(str(error)) from error


def _directory(path: str | None) -> str | None:
    if path is not None and not path.startswith("/"):
        raise UsageError(f"--cwd takes an absolute path of the machine, not '{path}'")
    return path


def _nanoseconds(option: str, text: str | None) -> int | None:
    from pkern.userland.given import NotGiven, nanoseconds_of

    try:
        return None if text is None else nanoseconds_of(option, text)
    except NotGiven as error:
        raise UsageError(str(error)) from error


def wall_ns(options: argparse.Namespace) -> int | None:
    """Return how long the run may take by the host's clock, in nanoseconds. Errors: UsageError."""
    return _nanoseconds("--wall", options.wall)


def _capabilities(names: Sequence[str]) -> frozenset[str] | None:
    """Return the capabilities asked for, None where nothing was asked. Errors: UsageError."""
    from pkern.kernel.tasks.credentials import named_caps

    try:
        return named_caps(names) or None
    except ValueError as error:
        raise UsageError(str(error)) from error


def traced(options: argparse.Namespace) -> bool:
    """Tell whether an option asks for strace."""
    return any(getattr(options, name) for name in TRACING)


def injector(options: argparse.Namespace) -> Injector | None:
    """Return what changes calls, if an option asks for that. Errors: UsageError."""
    expressions = [text for text in options.expressions if text.startswith(INJECTING)]
    if not expressions and not options.inject:
        return None
    from pkern.userland.injection import (
        BadInjection,
        Injector,
        for_python,
        read_expression,
        read_rule,
    )

    try:
        shown = style(options).filters.calls  # as under strace, only calls that are traced
        rules = [
            rule._replace(calls=rule.calls & shown) for rule in map(read_expression, expressions)
        ]
        rules += [read_rule(text) for text in options.inject]
        return Injector(for_python(rules) if _is_python(options) else rules)
    except BadInjection as error:
        raise UsageError(f"--inject: {error}") from error


def _only(rule: Rule, calls: frozenset[str]) -> Rule:
    return rule._replace(calls=rule.calls & calls)


def style(options: argparse.Namespace) -> Style:
    """Return what strace shows, and how. Errors: UsageError."""
    from pkern.syscalls.strace.filters import BadFilter, parse
    from pkern.syscalls.strace.tracer import Output, Pids, Stamp, Style

    try:
        return Style(
            parse(text for text in options.expressions if not text.startswith(INJECTING)),
            Stamp[STAMPS[min(options.stamps, len(STAMPS) - 1)]],
            Pids.ALWAYS if options.output else Pids.WHERE_MANY,
            Output.SUMMARY if options.summary else Output.LINES,
        )
    except BadFilter as error:
        raise UsageError(f"-e: {error}") from error
