"""The command `pkern`: finds the command that is meant, lets it read its arguments and run.

Owns the table of commands, the help that lists them, and the exit status: 0 done, 1 the thing that
ran failed or a divergence was found, 2 a wrong request, 130 Ctrl-C, 141 nobody reads the output.
Each command is a module with HELP (its text, with examples), add_arguments(parser) and
run(options); load(options), if it is there, imports what run() needs; PLAIN, if it is there, says
that its plain command lines need no parser (plain.py). Only the module of the
command that is meant is imported: what is imported here, every command pays for.
"""

from __future__ import annotations

import os
import sys

from pkern import __version__
from pkern.kernel.arguments import did_you_mean
from pkern.kernel.errors import KernelPanic, MachineClosed, NoRoom, SyscallError
from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Sequence, TextIO
from pkern.userland.cli.options import REMAINDER, UsageError
from pkern.userland.cli.plain import Declared, NotPlain
from pkern.userland.cli.startup import BROKEN_PIPE, INTERRUPTED

if TYPE_CHECKING:
    from pkern.userland.cli.parser import HelpfulParser

VERSION = f"pkern {__version__}"
CORE = "pkern.kernel.core"  # a door that cannot be opened says what to do

# Name: its module below pkern.userland, what it does.
COMMANDS = {
    "run": ("cli.program.run", "Run a program."),
    "sweep": ("cli.many.sweep", "Let each allocation or call of a program fail, one by one."),
    "explore": ("cli.many.explore", "Run a program in other orders of its tasks."),
    "replay": ("cli.many.replay", "Run a schedule again that explore has found."),
    "watch": ("cli.program.watch", "Show the machine's memory while a program runs."),
    "inspect": ("cli.program.inspect", "Ask the kernel about its memory, while a program runs."),
    "suite": ("cli.many.suite", "Run many programs, each on a machine of its own."),
    "shell": ("cli.program.shell", "Open a shell on a machine."),
    "sysctl": ("cli.pages.sysctl", "Show sysctls with value, range and help."),
    "syscalls": ("cli.pages.syscalls", "Show which system calls there are."),
    "docs": ("cli.pages.docs", "Write the generated pages of the documentation."),
    "console": ("cli.console.console", "Open a live machine at the terminal."),
    "mount": ("cli.program.mount", "Show a machine's files on the host."),
    "host-shell": ("cli.program.host_shell", "Run the host's tools on a mounted machine's /proc."),
    "bochs": ("cli.study.bochs", "Run the emulator on a file."),
    "story": ("cli.study.story", "Tell the gate's story on a file."),
    "conform": ("cli.study.conform", "Compare with the host's kernel."),
    "bench": ("cli.study.bench", "Measure beside the host's kernel."),
    "uml": ("cli.study.uml", "Run a program under a guest kernel."),
    "lab": ("cli.study.lab", "Settle the letter's claims."),
}

# Commands that show what docstrings say, which Python's -OO leaves out.
PRINT_DOCSTRINGS = {"syscalls", "docs", "lab"}

EXAMPLES = """\
examples:
  pkern run prog.py                          run a program: a file with 'def main(sys)'
  pkern run --sysctl vm.nonlinear=1 prog.py  the same with the gate open
  pkern run --uid 0 --dmesg prog.py a b      as root, with arguments; print the log at the end
  pkern run /bin/busybox sh -c 'ls /proc'    an unmodified static program of the host's
  pkern sweep ./tool                         each allocation fails once: what does it do?
  pkern explore ./threads                    its threads in other orders
  pkern suite tests/                         many programs, each on a machine of its own
  pkern inspect -q vmas prog.py              its memory, at the end or where --until says
  pkern watch prog.py                        its memory on the terminal while it runs
  pkern shell                                busybox sh at the terminal
  pkern sysctl -a nonlinear                  every sysctl whose name holds 'nonlinear'
  pkern syscalls mremap                      what is done of a system call
  pkern console                              a live machine: cat, echo >, ls, ps, maps, run ...
  pkern mount /mnt/machine                   its files on the host: cat, echo >, psutil ...
  pkern host-shell /mnt/machine ps aux       the host's ps shows the machine's tasks
  pkern bochs --file LICENSE                 the emulator computes the file's CRC-32
  pkern uml build/programs/forks             a program under a guest kernel of its own
  pkern conform --sequences 100 --seed 1     random calls, here and on the host's kernel
  pkern bench --json bench.json              times beside the host's, as ratios
  pkern story LICENSE                        the gate, told on one file
  pkern lab list                             the letter's claims as experiments

'pkern COMMAND --help' explains a command. The README shows a first program.
"""


def main(arguments: Sequence[str] | None = None, ready: Callable[[], object] = lambda: None) -> int:
    """Run the command line and return the exit status.

    ready: called when the command's modules are imported, before it runs.
    """
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments, ready)
        finally:
            sys.stdout.flush()
    except UsageError as error:
        return _end(error.status, str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except KernelPanic as error:
        return _end(1, str(error))
    except ImportError as error:
        if error.name != CORE:
            raise
        return _end(1, str(error))
    except MachineClosed:
        return _end(1, "the program has closed its machine")
    except NoRoom as error:
        return _end(1, error.sentence)
    except SyscallError:  # a call of this kernel failed and no command expected it: our bug
        raise
    except BrokenPipeError:  # the reader of our output has gone: `pkern ... | head`
        _let_go(sys.stdout)
        _let_go(sys.stderr)
        return BROKEN_PIPE
    except OSError as error:
        _let_go(sys.stdout)
        return _end(1, f"the host refused: {error}")


def _end(status: int, sentence: str) -> int:
    print(f"pkern: {sentence}", file=sys.stderr)
    return status


def _let_go(stream: TextIO) -> None:
    """Drop what a stream holds and nobody takes, lest Python tries it again and complains."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: Sequence[str], ready: Callable[[], object]) -> int:
    """Run the command that is meant. Errors: what it raises; SystemExit of the parsers."""
    if list(arguments) == ["--version"]:  # as the parser would, without it
        print(VERSION)
        return 0
    command, options = _meant(arguments)
    if hasattr(command, "load"):
        command.load(options)
    ready()
    status: int = command.run(options)
    return status


def _meant(arguments: Sequence[str]) -> tuple[Any, Any]:
    """Return the module of the command that is meant, and its options."""
    named = arguments and arguments[0] in COMMANDS
    name, *words = arguments if named else _words(arguments)
    if name in PRINT_DOCSTRINGS and sys.flags.optimize > 1:
        raise UsageError(f"'pkern {name}' prints docstrings, and Python's -OO has left them out")
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS, "; 'pkern --help' lists them")
        raise UsageError(f"there is no command '{name}'{hint}")
    command: Any = load(f"pkern.userland.{COMMANDS[name][0]}")
    try:
        return command, _plain(name, command, words)
    except NotPlain:
        return command, _parser_of(name, command).parse_args(words)


def _plain(name: str, command: Any, words: Sequence[str]) -> Any:
    """Return what a plain command line says. Errors: NotPlain."""
    if not hasattr(command, "PLAIN"):
        raise NotPlain
    declared = Declared(f"pkern {name}")
    command.add_arguments(declared)
    return declared.read(words)


def _parser_of(name: str, command: Any) -> HelpfulParser:
    from pkern.userland.cli.parser import HelpfulParser

    parser = HelpfulParser(
        prog=f"pkern {name}",
        description=f"{COMMANDS[name][1]}\n\n{command.HELP}",
    )
    command.add_arguments(parser)
    return parser


def _words(arguments: Sequence[str]) -> list[str]:
    """Return the command's name and what follows, of a line that begins with something else."""
    names = _parser()
    words: list[str] = names.parse_args(arguments).words
    if not words:
        names.error("the following arguments are required: COMMAND")
    return words


def _parser() -> HelpfulParser:
    """Return the parser that knows the commands' names only."""
    from argparse import SUPPRESS

    from pkern.userland.cli.parser import HelpfulParser

    parser = HelpfulParser(
        prog="pkern",
        usage="pkern [-h] [--version] COMMAND ...",
        description="A miniature kernel of virtual memory with Linux's memory system calls.",
        epilog=f"commands:\n{_listed()}\n\n{EXAMPLES}",
    )
    parser.add_argument("--version", action="version", version=VERSION)
    # One list: argparse takes a -- away from behind a positional of its own.
    parser.add_argument("words", nargs=REMAINDER, help=SUPPRESS)
    return parser


def _listed() -> str:
    lines = ((name, about.rstrip(".").lower()) for name, (_, about) in COMMANDS.items())
    return "\n".join(f"    {name:12}{about}" for name, about in lines)


if __name__ == "__main__":
    sys.exit(main())
