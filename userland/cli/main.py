"""The command `pkern`: reads arguments, boots a machine, runs one command, returns its exit status.

Owns the grammar of the command line and its help; each command's work stands in its own module.
Exit status: 0 done, 1 the thing that ran failed or a divergence was found, 2 a wrong request.
"""

import argparse
import contextlib
import difflib
import io
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from pkern.kernel.errors import KernelBug, KernelPanic, SyscallError
from pkern.kernel.tasks.credentials import ALL_CAPS
from pkern.kernel.tasks.signals import NSIG
from pkern.userland.cli import console, reference
from pkern.userland.cli.options import (
    AMPLE,
    RMAPS,
    HelpfulParser,
    UsageError,
    boot,
    existing,
    machine_options,
    nearest,
    regular,
    say_ended,
    show_failure,
    user_id,
    writable,
)
from pkern.userland.cli.tables import print_table
from pkern.userland.lab import command
from pkern.userland.program import NoMain, load_program, run_program
from pkern.userland.uml import command as uml_command

Command = Callable[[argparse.Namespace], int]

SIGNALLED = 128  # an exit status above it names the signal that ended the program

EXAMPLES = """\
examples:
  pkern run prog.py                          run a program: a file with 'def main(sys)'
  pkern run --sysctl vm.nonlinear=1 prog.py  the same with the gate open
  pkern run --uid 0 --dmesg prog.py a b      as root, with arguments; print the log at the end
  pkern run /bin/busybox sh -c 'ls /proc'    an unmodified static program of the host's
  pkern shell                                busybox sh at the terminal
  pkern sysctl -a nonlinear                  every sysctl whose name holds 'nonlinear'
  pkern syscalls mremap                      what is done of a system call
  pkern console                              a live machine: cat, echo >, ls, ps, maps, run ...
  pkern bochs --file LICENSE                 the emulator computes the file's CRC-32
  pkern uml build/programs/forks             a program under a guest kernel of its own
  pkern conform --sequences 100 --seed 1     random calls, here and on the host's kernel
  pkern bench --json bench.json              times beside the host's, as ratios
  pkern story LICENSE                        the gate, told on one file
  pkern lab list                             the letter's claims as experiments

'pkern COMMAND --help' explains a command. The README shows a first program.
"""

RUN_HELP = """\
Run a program on a fresh machine. FILE.py holds `def main(sys)`, or `def main(sys, argv)`; its
result is the exit status. `sys` has every system call and constant, and sys.load, sys.store and
sys.fork. Any other file is a program in machine code, static x86-64 ELF: it runs unmodified on the
kernel's page tables. It finds /dev, /proc, /tmp and itself, or --root DIR's files.

examples:
  pkern run prog.py one two
  pkern run --ram 16M --sysctl vm.nonlinear=1 --dmesg prog.py
  pkern run --strace prog.py                 print each system call, as strace does
  pkern run --host ~/data prog.py            the directory is /host, read only
  pkern run --twice prog.py                  check that two runs print the same
  pkern run /bin/busybox ps                  a program in machine code
  pkern run --root DIR -- /bin/sh -c 'ls /'  the same, in a root of its own
"""

BOCHS_HELP = """\
The guest, in machine code, computes the CRC-32 of the file in its memory, through guest page tables
that scatter the file's pages. The emulator is a program of this kernel; with the gate closed it
falls back from remap_file_pages to one mmap a page.

examples:
  pkern bochs --file LICENSE
  pkern bochs --file LICENSE --sysctl vm.nonlinear=1
"""

CONFORM_HELP = """\
Random sequences of 30 memory calls, loads and stores run on this kernel and, in a child process, on
the real Linux below; results, errno, signals, contents and maps are compared call by call. Exit
status 1 on a divergence; then the shortest failing sequence is printed, also as a C program.

example: pkern conform --sequences 2000 --seed 7
"""

SYSCALLS_HELP = """\
Each call is done, partly done (and what is missing), or not there: it fails with ENOSYS.

examples:
  pkern syscalls              all of them
  pkern syscalls remap        those whose name holds 'remap'
"""

STORY_HELP = """\
The emulator runs twice over the file: with the gate closed (EPERM, one mmap a page) and, after
echo 1 > /proc/sys/vm/nonlinear, with the gate open. Then both are compared. `make run` tells it.

examples:
  pkern story                 on the compiled core of this kernel
  pkern story LICENSE
"""

BENCH_HELP = """\
Each row is measured here and on the host's kernel in interleaved rounds; the ratio is host / ours,
with its median and spread. All of it takes some minutes.

examples:
  pkern bench --only remap            the rows about remap_file_pages
  pkern bench --json bench.json       also as {"rows": [{"name", "host", "ours", ...}]}
"""

CONSOLE_HELP = """\
A shell of the machine, as root: cat, echo TEXT > PATH, ls, sysctl, ps, maps, free, dmesg, check,
run FILE.py, python. Tab completes; lines are remembered. `help` explains each command.

examples:
  pkern console
  pkern console --sysctl vm.nonlinear=1
  echo 'cat /proc/meminfo' | pkern console
"""

DOCS_HELP = """\
docs/sysctls.md and docs/syscalls.md come from the tables of the code.

example: pkern docs                   in the project's folder
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = make_parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except UsageError as error:
        print(f"pkern: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone: `pkern ... | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    except KernelPanic as error:
        print(f"pkern: {error}", file=sys.stderr)
        return 1
    except SyscallError:  # a call of this kernel failed and no command expected it: our bug
        raise
    except OSError as error:
        print(f"pkern: the host refused: {error}", file=sys.stderr)
        return 1


def make_parser() -> HelpfulParser:
    """Return the parser of the whole command line."""
    parser = HelpfulParser(
        prog="pkern",
        description="A miniature kernel of virtual memory with Linux's memory system calls.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    machine = machine_options()
    _add_run(commands, machine)
    _add_shell(commands)
    _add_tables(commands, machine)
    _add_console(commands, machine)
    _add_others(commands)
    return parser


# argparse gives the type no public name.
Commands: TypeAlias = "argparse._SubParsersAction[HelpfulParser]"


def _add(
    commands: Commands,
    name: str,
    command: Command,
    about: str,
    parents: Sequence[HelpfulParser] = (),
) -> HelpfulParser:
    """Add one command; the first line of `about` is its line in the list."""
    parser = commands.add_parser(
        name,
        help=about.splitlines()[0].rstrip(".").lower(),
        description=textwrap.dedent(about),
        parents=list(parents),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _add_run(commands: Commands, machine: HelpfulParser) -> None:
    parser = _add(commands, "run", run_file, "Run a program.\n\n" + RUN_HELP, [machine])
    parser.add_argument("file", metavar="PROGRAM", help="FILE.py, or an x86-64 ELF program")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="for the program"
    ).required = False
    parser.add_argument("--root", metavar="DIR", help="a host directory as /, read only")
    parser.add_argument(
        "--uid", type=user_id, default=1000, help="the task's user; 0 is root (1000)"
    )
    parser.add_argument(
        "--cap", action="append", default=[], metavar="CAP_NAME", help="grant a capability"
    )
    parser.add_argument(
        "--twice", action="store_true", help="run it on two machines and compare all they print"
    )
    parser.add_argument("--strace", action="store_true", help="print each system call to stderr")
    parser.add_argument("--dmesg", action="store_true", help="print the kernel's log at the end")


def _add_shell(commands: Commands) -> None:
    from pkern.userland.cli import elf_command

    about = "Open a shell on a machine.\n\n" + elf_command.SHELL_HELP
    parser = _add(commands, "shell", elf_command.shell, about, [machine_options("256M")])
    parser.add_argument("--uid", type=user_id, default=0, help="the shell's user (0: root)")
    parser.add_argument("--root", metavar="DIR", help="a host directory as /, read only")
    parser.add_argument(
        "--program", default="/bin/busybox", metavar="FILE", help="the shell (/bin/busybox sh)"
    )


def _add_tables(commands: Commands, machine: HelpfulParser) -> None:
    parser = _add(
        commands,
        "sysctl",
        show_sysctls,
        "Show sysctls with value, range and help.\n\nexample: pkern sysctl -a overcommit",
        [machine],
    )
    parser.add_argument("-a", "--all", action="store_true", help="every one (the default)")
    parser.add_argument("pattern", nargs="?", default="", help="only names that hold this")
    about = "Show which system calls there are.\n\n" + SYSCALLS_HELP
    parser = _add(commands, "syscalls", show_syscalls, about)
    parser.add_argument("pattern", nargs="?", default="", help="only names that hold this")
    about = "Write the generated pages of the documentation.\n\n" + DOCS_HELP
    parser = _add(commands, "docs", write_docs, about)
    parser.add_argument("--folder", default="docs", help="where they go (docs)")


def _add_console(commands: Commands, machine: HelpfulParser) -> None:
    about = "Open a live machine at the terminal.\n\n" + CONSOLE_HELP
    _add(commands, "console", console.open_console, about, [machine])


def _add_others(commands: Commands) -> None:
    about = "Run the emulator on a file.\n\n" + BOCHS_HELP
    parser = _add(commands, "bochs", run_emulator, about, [machine_options(ram=AMPLE)])
    parser.add_argument("--file", required=True, metavar="PATH", help="a file of the host")
    about = "Tell the gate's story on a file.\n\n" + STORY_HELP
    parser = _add(commands, "story", tell_story, about)
    parser.add_argument("file", nargs="?", metavar="FILE", help="of the host (the compiled core)")
    parser = _add(
        commands, "conform", conform, "Compare with the host's kernel.\n\n" + CONFORM_HELP
    )
    parser.add_argument("--sequences", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the sequences (0)")
    parser.add_argument("--rmap", default=RMAPS[0], choices=RMAPS, help="the reverse map")
    about = "Measure beside the host's kernel.\n\n" + BENCH_HELP
    parser = _add(commands, "bench", bench, about)
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="interleaved (3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")
    about = "Run a program under a guest kernel.\n\n" + uml_command.HELP
    uml_command.add_arguments(
        _add(commands, "uml", uml_command.uml, about, [machine_options(ram=AMPLE)])
    )
    command.add_arguments(
        _add(commands, "lab", command.lab, "Settle the letter's claims.\n\n" + command.HELP)
    )


# ---- the commands ----


def run_file(options: argparse.Namespace) -> int:
    """Run a Python program and return its exit status."""
    if options.root or not options.file.endswith(".py"):
        from pkern.userland.cli import elf_command

        return elf_command.run(options, _capabilities(options.cap))
    existing(options.file)
    if options.twice:
        return _run_twice(options)
    return _run_once(options)


def _run_once(options: argparse.Namespace) -> int:
    try:
        program = load_program(existing(options.file))
    except NoMain as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        return show_failure(error)
    argv = [options.file, *options.arguments]
    caps = _capabilities(options.cap)
    trace = _trace if options.strace else None
    with boot(options) as kernel:
        try:
            status = run_program(
                kernel,
                program,
                argv,
                uid=options.uid,
                caps=caps,
                strace=trace,
                on_fault=show_failure,
            )
        except (KernelBug, KernelPanic, BrokenPipeError):
            raise
        except Exception as error:
            status = show_failure(error)
        finally:
            if options.dmesg:
                print("\n".join(kernel.log.lines()))
    if SIGNALLED < status <= SIGNALLED + NSIG:
        say_ended(options.file, status - SIGNALLED)
    return status


def _capabilities(names: Sequence[str]) -> frozenset[str] | None:
    """Return the capabilities asked for, None where nothing was asked. Errors: UsageError."""
    for name in names:
        if name not in ALL_CAPS:
            guesses = nearest(name, ALL_CAPS)
            hint = f"; did you mean {guesses[0]}?" if guesses else ""
            raise UsageError(f"there is no capability '{name}'{hint}")
    return frozenset(names) or None


def _trace(line: str) -> None:
    print(line, file=sys.stderr)


def _run_twice(options: argparse.Namespace) -> int:
    """Run on two machines and compare what they print, the log included; 1 if they differ."""
    options.dmesg = True
    outputs = []
    for _ in range(2):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = _run_once(options)
        outputs.append(output.getvalue())
    print(outputs[0], end="")
    if outputs[0] == outputs[1]:
        print("both runs printed the same", file=sys.stderr)
        return status
    first, second = (text.splitlines() for text in outputs)
    print("\n".join(difflib.unified_diff(first, second, "first", "second")), file=sys.stderr)
    return 1


def show_sysctls(options: argparse.Namespace) -> int:
    """Print the sysctl table of a machine booted as asked."""
    with boot(options) as kernel:
        rows = reference.sysctl_rows(kernel, options.pattern)
    if not rows:
        raise UsageError(f"no sysctl's name holds '{options.pattern}'; 'pkern sysctl -a' lists all")
    print_table("", reference.SYSCTL_HEADERS, rows)
    return 0


def show_syscalls(options: argparse.Namespace) -> int:
    """Print the support table."""
    rows = reference.syscall_rows(options.pattern)
    if not rows:
        raise UsageError(f"no system call's name holds '{options.pattern}'")
    print_table("", reference.SYSCALL_HEADERS, rows)
    return 0


def write_docs(options: argparse.Namespace) -> int:
    """Write docs/sysctls.md and docs/syscalls.md."""
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder; run this in the project's folder")
    for name, text in reference.pages().items():
        (folder / name).write_text(text)
        print(folder / name)
    return 0


def conform(options: argparse.Namespace) -> int:
    """Run random sequences here and on the host; 1 if one diverges."""
    from pkern.userland.conform import run_conform
    from pkern.userland.conform.hostcc import NoCompiler

    if options.sequences < 1:
        raise UsageError("--sequences takes a number of 1 or more")
    try:
        report = run_conform(options.sequences, options.seed, progress=_progress, rmap=options.rmap)
    except NoCompiler as error:
        raise UsageError(str(error)) from error
    print(report)
    return 0 if report.ok else 1


def bench(options: argparse.Namespace) -> int:
    """Measure this kernel beside the host's and print the table."""
    from pkern.userland.bench import as_json, as_markdown, cases_here, run_bench
    from pkern.userland.conform.hostcc import NoCompiler

    if options.rounds < 3:
        raise UsageError("--rounds takes a number of 3 or more: a median needs them")
    cases, notes = cases_here(options.only)
    if not cases:
        raise UsageError(f"--only {options.only}: no row has this in its name")
    report = writable(options.json) if options.json else None
    try:
        rows = run_bench(options.rounds, _progress, cases)
    except NoCompiler as error:
        raise UsageError(str(error)) from error
    print(as_markdown(rows), end="")
    for note in notes:
        print(f"\n{note}")
    if report is not None:
        report.write_text(as_json(rows))
    return 0


def _progress(done: int, total: int, name: str = "") -> None:
    """Show how far a long command is, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{done} of {total} {name:60}", end="\r", file=sys.stderr, flush=True)


def run_emulator(options: argparse.Namespace) -> int:
    """Let the emulator's guest compute a file's CRC-32; 1 if it is not zlib's."""
    from pkern.userland import bochs, cpu

    path = regular(options.file)
    if options.ram == AMPLE:
        options.ram = bochs.machine_ram(path.stat().st_size)
    with boot(options) as kernel:
        try:
            result = bochs.run_bochs(kernel, path, seed=options.seed)
        except (bochs.LoadError, bochs.ImageError, cpu.CpuUnavailable) as error:
            raise UsageError(str(error)) from error
        except (bochs.BochsError, bochs.GuestError) as error:
            print(f"pkern bochs: {error}", file=sys.stderr)
            return 1
    print(result.note)
    print_table("", ("", ""), result.rows())
    return 0 if result.correct else 1


def tell_story(options: argparse.Namespace) -> int:
    """Tell the letter's story."""
    from pkern.userland.cli import story

    return story.tell(regular(options.file) if options.file else story.compiled_core())


if __name__ == "__main__":
    sys.exit(main())
