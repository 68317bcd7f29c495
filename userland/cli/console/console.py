"""A live machine at the terminal: `pkern console`.

Owns the small shell and its commands. The shell is a root task of the machine; what its commands do
to files they do with that task's system calls, so /proc/sys obeys the rules of any program.
The host's readline gives history and completion.
"""

import argparse
import cmd
import code
import readline
import shlex
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from rlcompleter import Completer
from time import gmtime, strftime
from types import CodeType
from typing import Any, TextIO

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.errors import KernelBug, KernelPanic, MemoryFault, TaskKilled
from pkern.kernel.inspect.inspector import NotThere
from pkern.kernel.machine import Kernel, parse_size
from pkern.kernel.wait import alone, outside
from pkern.userland.cli.boot import boot, sysctl_name
from pkern.userland.cli.console.lines import Pipeline, expanded, pipelines
from pkern.userland.cli.console.plumbing import (
    CHUNK,
    PROGRAM_UID,
    NobodyReads,
    SideBySide,
    Untaken,
    Writer,
    emit,
)
from pkern.userland.cli.ends import show_failure
from pkern.userland.cli.options import (
    UsageError,
    add_machine_options,
    add_mount,
    existing,
    set_usage,
)
from pkern.userland.cli.pages import reference
from pkern.userland.cli.program.shared import mounting
from pkern.userland.cli.startup import BROKEN_PIPE, INTERRUPTED
from pkern.userland.cli.typeahead import TypeAhead
from pkern.userland.complaints import sysctl_complaint
from pkern.userland.inspect.words import Asker, BadQuestion, help_text
from pkern.userland.program import NoMain, Sys, load_program, run_program
from pkern.userland.tables import print_table

HELP = """\
A shell of the machine, as root: cat, echo, ls, sysctl, ps, maps, free, dmesg, inspect, check,
python, and run PROGRAM: FILE.py or machine code of the host's disk, also by its path alone. Lines
know ; | < > >> and * in paths, as cat /proc/meminfo | /bin/busybox head. Tab completes, Ctrl-C
clears the line, Ctrl-D leaves; lines are remembered. The exit status is that of the last command.
`help` explains each command.

examples:
  pkern console
  pkern console --sysctl vm.nonlinear=1
  echo 'cat /proc/meminfo | /bin/busybox grep Swap' | pkern console
"""

BUSYBOX = "/bin/busybox"
HISTORY = Path("~/.pkern_history").expanduser()
USAGE, NOT_FOUND = 2, 127
LEAVING = ("exit", "quit", "EOF")  # commands that keep the status of the one before
FREE_COLUMNS = ("total", "used", "free", "shared", "buff/cache", "available")  # procps 4.0's
FREE_UNITS = {"-b": 1, "-k": 1 << 10, "-m": 1 << 20, "-g": 1 << 30}  # bytes
TYPED_AHEAD = r'"\C-@": "\C-d"'  # an end of input that was typed before typeahead.take()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern console`."""
    add_mount(parser)
    set_usage(parser)
    add_machine_options(parser)


def run(options: argparse.Namespace) -> int:
    """Boot a machine, run the shell on the terminal, return the status of its last command."""
    with TypeAhead() as terminal, boot(options) as kernel, _history(), mounting(kernel, options):
        console = Console(kernel, terminal)
        with outside(kernel.visits):  # but for its commands: onecmd
            console.cmdloop()
    return console.status


class _history:
    """Lines typed in earlier sessions, kept in a file of the user's home if that is possible."""

    def __enter__(self) -> None:
        self._typed = sys.stdin.isatty()
        if self._typed:
            with suppress(OSError):
                readline.read_history_file(HISTORY)

    def __exit__(self, *_: object) -> None:
        if self._typed:
            readline.set_history_length(1000)
            with suppress(OSError):
                readline.write_history_file(HISTORY)


class _Python(code.InteractiveConsole):
    """Python with the machine's owner at its prompt."""

    def runcode(self, code: CodeType) -> None:
        """Run what was typed while nobody else is in the machine."""
        kernel: Any = self.locals["kernel"]
        with alone(kernel.visits):
            super().runcode(code)


class Console(cmd.Cmd):
    """The shell. A method do_NAME is the command NAME, its docstring the help."""

    intro = "pkern: a live machine. 'help' lists the commands, 'exit' or Ctrl-D ends it."
    prompt = "pkern# "
    doc_header = (
        "Commands; 'help NAME' explains one. Lines know ; | < > >> *; a path runs a program."
    )

    def __init__(self, kernel: Kernel, terminal: TypeAhead | None = None) -> None:
        super().__init__()
        self.kernel = kernel
        self.status = 0  # of the last command
        self._terminal = terminal or TypeAhead()
        self._terminal_output: TextIO | None = None  # where complaints go; None: sys.stdout
        self.task = kernel.spawn("sh", uid=0, gid=0)
        self.sys = Sys(self.task)
        self.sys.rt_sigaction(self.sys.SIGPIPE, self.sys.SIG_IGN)
        self._asker = Asker(kernel.inspect)
        names: dict[str, object] = {"kernel": kernel, "task": self.task, "sys": self.sys}
        names["exit"] = names["quit"] = _leave_python  # Python's own would close the terminal
        self.python = _Python(names)
        if not sys.stdin.isatty():
            self.prompt = self.intro = ""
            self.python.raw_input = _unprompted  # type: ignore[method-assign]
        readline.parse_and_bind(TYPED_AHEAD)
        readline.set_completer_delims(" \t\n>|;")

    # ---- files ----

    def do_cat(self, line: str) -> None:
        """cat PATH...: print files. Behind a | it may do without a path."""
        for path in self._words(line, at_least=1):
            with self._complaints("cat", path):
                for data in self._contents(path):
                    emit(data)

    def do_echo(self, line: str) -> None:
        """echo TEXT: print the text."""
        print(" ".join(self._words(line)))

    def do_ls(self, line: str) -> None:
        """ls [-l] [PATH...]: list directories; -l: with mode, links, owner, size and time."""
        words = self._words(line)
        show = self._long if "-l" in words else _short
        for path in [word for word in words if word != "-l"] or ["."]:
            with self._complaints("ls", path):
                self.sys.lstat(path)
                names = sorted(self.sys.listdir(path)) if self._is_directory(path) else [""]
                for name in names:
                    print(show(f"{path.rstrip('/')}/{name}" if name else path, name or path))

    def _long(self, path: str, name: str) -> str:
        """Return a line of ls -l: times of the machine's clock, in UTC."""
        found = self.sys.lstat(path)
        changed = strftime("%b %e %H:%M", gmtime(found.st_mtime_ns // 1_000_000_000))
        arrow = f" -> {self.sys.readlink(path)}" if stat.S_ISLNK(found.st_mode) else ""
        owner = f"{found.st_uid:>5} {found.st_gid:>5} {found.st_size:>10}"
        mode = stat.filemode(found.st_mode)
        return f"{mode} {found.st_nlink:>3} {owner} {changed} {name}{arrow}"

    def do_rm(self, line: str) -> None:
        """rm PATH...: remove files."""
        for path in self._words(line, at_least=1):
            with self._complaints("rm", path):
                self.sys.unlink(path)

    def do_truncate(self, line: str) -> None:
        """truncate PATH SIZE: set a file's size in bytes; the file is made if need be."""
        path, size = self._words(line, at_least=2)[:2]
        nbytes = parse_size(size)
        with self._complaints("truncate", path):
            descriptor = self.sys.open(path, self.sys.O_WRONLY | self.sys.O_CREAT, 0o644)
            self.sys.ftruncate(descriptor, nbytes)
            self.sys.close(descriptor)

    # ---- what the kernel knows ----

    def do_sysctl(self, line: str) -> None:
        """sysctl [-a] [PATTERN] | NAME=VALUE: show or set sysctls."""
        words = [word for word in self._words(line) if word not in ("-a", "-w")]
        if words and "=" in "".join(words):
            name, _, value = " ".join(words).partition("=")
            self._set_sysctl(sysctl_name(name), value.strip())
            return
        rows = reference.sysctl_rows(self.kernel, words[0] if words else "")
        if not rows:
            names = [entry.name for entry in self.kernel.sysctl.entries()]
            hint = did_you_mean(words[0], names)
            raise UsageError(f"no sysctl's name holds '{words[0]}'{hint}")
        print_table("", reference.SYSCTL_HEADERS, rows)

    def _set_sysctl(self, name: str, value: str) -> None:
        path = "/proc/sys/" + name.replace(".", "/")
        try:
            self.write_file(path, value.encode() + b"\n", self.sys.O_WRONLY)
        except OSError as error:
            raise UsageError(sysctl_complaint(self.kernel, name, value) or str(error)) from error

    def do_ps(self, line: str) -> None:
        """ps: list the processes, with resident and total memory in KiB."""
        rows = []
        for task in sorted(self.kernel.tasks.processes(), key=lambda task: task.tgid):
            counters = task.mm.counters
            resident = counters.rss_anon + counters.rss_file + counters.rss_shmem
            numbers = (task.tgid, task.ppid, task.uid, 4 * resident, 4 * counters.total_vm)
            rows.append([*map(str, numbers), task.name])
        print_table("", ("PID", "PPID", "UID", "RSS", "VSZ", "COMMAND"), rows)

    def do_maps(self, line: str) -> None:
        """maps [PID]: print a task's memory map (this shell's by default)."""
        pid = (self._words(line) or ["self"])[0]
        with self._complaints("maps", pid):
            print(self.read_file(f"/proc/{pid}/maps"), end="")

    def do_free(self, line: str) -> None:
        """free [-b|-k|-m|-g]: print how much memory and swap there is and is used, in KiB or so."""
        unit = ["-k", *self._words(line)][-1]
        if unit not in FREE_UNITS:
            raise UsageError(f"it takes one of {', '.join(FREE_UNITS)}, not '{unit}'")
        lines = map(str.split, self.read_file("/proc/meminfo").splitlines())
        of = {name.rstrip(":"): int(value) << 10 for name, value, *_ in lines}
        cached = of["Buffers"] + of["Cached"] + of["SReclaimable"]
        total, available = of["MemTotal"], of["MemAvailable"]
        memory = (total, total - available, of["MemFree"], of["Shmem"], cached, available)
        swap = (of["SwapTotal"], of["SwapTotal"] - of["SwapFree"], of["SwapFree"])
        print(" " * 8 + "".join(f"{name:>12}" for name in FREE_COLUMNS))
        for label, sizes in (("Mem:", memory), ("Swap:", swap)):
            print(f"{label:8}" + "".join(f"{size // FREE_UNITS[unit]:12}" for size in sizes))

    def do_dmesg(self, line: str) -> None:
        """dmesg: print the kernel's log."""
        for text in self.kernel.log.lines():
            print(text)

    def do_inspect(self, line: str) -> None:
        """inspect QUESTION: ask about memory: walk ADDR, vma ADDR, page PFN, lru, diff, ..."""
        words = self._words(line)
        if not words:
            print(help_text())
            return
        try:
            print(self._asker.ask(words))
        except (BadQuestion, NotThere) as error:
            raise UsageError(str(error)) from error

    def do_check(self, line: str) -> None:
        """check: recount every invariant."""
        self.kernel.check()
        print("all invariants hold")

    # ---- programs ----

    def do_run(self, line: str) -> None:
        """run PROGRAM [ARGUMENT...]: run a program of the host's disk: FILE.py, or machine code."""
        words = self._words(line, at_least=1)
        path = Path(existing(words[0]))
        if path.suffix == ".py":
            self.status = self._run_python(path, words)
        else:
            with self._terminal.for_a_program() as owed:
                self.status = self._run_elf(words, owed)
        if self.status:
            print(f"exit status {self.status}")

    def _run_python(self, path: Path, words: list[str]) -> int:
        try:
            program = load_program(path)
            return run_program(self.kernel, program, words, uid=1000, on_fault=show_failure)
        except NoMain as error:
            raise UsageError(str(error)) from error
        except (KernelBug, KernelPanic):
            raise
        except SystemExit as left:
            raise UsageError(
                "the program left the host's Python: use sys.exit of main's sys"
            ) from left
        except Untaken:
            raise
        except Exception as error:
            return show_failure(error)

    def _run_elf(self, words: list[str], owed: bytes | None) -> int:
        """Run a program in machine code on the host's descriptors."""
        from pkern.userland.cli.program.elf_command import fill_root, host_descriptors, run_job
        from pkern.userland.given import Given

        path, asked = fill_root(self.kernel, words[0], None), Given(tuple(words), PROGRAM_UID)
        sys.stdout.flush()
        return run_job(self.kernel, path, asked, host_descriptors(self.kernel, None, owed))

    def do_python(self, line: str) -> None:
        """python [STATEMENT]: Python with `kernel`, `task` and `sys`, the shell's own calls."""
        if line:
            with suppress(SystemExit):
                self.python.push(line)
            return
        with outside(self.kernel.visits), suppress(SystemExit), _completing(self.python.locals):
            banner = "kernel, task, sys; Ctrl-D goes back" if self.prompt else ""
            self.python.interact(banner=banner, exitmsg="")

    def do_exit(self, line: str) -> bool:
        """exit [STATUS]: stop the machine."""
        if line:
            try:
                self.status = int(line) & 0xFF
            except ValueError:
                raise UsageError(f"a status is a number, not '{line}'") from None
        return True

    def do_quit(self, line: str) -> bool:
        """quit [STATUS]: as exit."""
        return self.do_exit(line)

    # ---- the loop ----

    def cmdloop(self, intro: str | None = None) -> None:
        """Read and run lines until the end; at a terminal, Ctrl-C leaves the line that it is in."""
        while True:
            try:
                return super().cmdloop(intro)
            except KeyboardInterrupt:
                if not self.prompt:
                    raise
                print("^C")
                self.status, self.intro = INTERRUPTED, ""

    def precmd(self, line: str) -> str:
        """Take the end of the input, which cmd.Cmd calls EOF, for `exit`."""
        return "exit" if line == "EOF" else line

    def onecmd(self, line: str) -> bool:
        """Run the pipelines of a line; the shell goes on while it lives."""
        try:
            found = pipelines(line)
        except ValueError as error:
            self.status = USAGE
            print(error)
            return False
        with alone(self.kernel.visits):
            return any(self._run_pipeline(pipeline) for pipeline in found) or self._is_over()

    def _is_over(self) -> bool:
        if self.task.alive:
            return False
        print("the shell's task has ended")
        return True

    def _run_pipeline(self, pipeline: Pipeline) -> bool:
        """Run the commands of a pipeline side by side; tell whether the shell ends."""
        try:
            commands = [expanded(command, self._names) for command in pipeline.commands]
        except ValueError as error:
            self.complain(str(error))
            return False
        pipeline = pipeline._replace(commands=commands)
        if len(commands) == 1 and not pipeline.arrow:
            return self._alone(pipeline.commands[0])
        try:
            with self._file_behind(pipeline) as fd, self._terminal.for_a_program() as owed:
                output = None if fd is None else Writer(self.sys, fd, pipeline.path)
                return SideBySide(self, pipeline.commands, output).run(owed)
        except OSError as error:
            name = pipeline.commands[-1].split()[0]
            self.complain(f"{name}: {pipeline.path}: {error.strerror}")
            return False

    @contextmanager
    def _file_behind(self, pipeline: Pipeline) -> Iterator[int | None]:
        """Give the descriptor of the file behind an arrow, None without one."""
        if not pipeline.arrow:
            yield None
            return
        how = self.sys.O_TRUNC if pipeline.arrow == ">" else self.sys.O_APPEND
        flags = self.sys.O_WRONLY | self.sys.O_CREAT | self.sys.O_CLOEXEC | how
        fd = self.sys.open(pipeline.path, flags, 0o644)
        try:
            yield fd
        finally:
            self.sys.close(fd)

    def command_into(self, command: str, output: Writer) -> bool:
        """Run a command of the shell's own, with another standard output."""
        self._terminal_output = sys.stdout
        try:
            with redirect_stdout(output):
                return self.command(command)
        finally:
            self._terminal_output = None

    def _alone(self, command: str) -> bool:
        """Run the only command of a pipeline; at a terminal, Ctrl-C leaves that alone."""
        try:
            return self.command(command)
        except KeyboardInterrupt:
            if not self.prompt:
                raise
            print()
            self.status = INTERRUPTED
            return not self.task.alive

    def _names(self, path: str) -> list[str]:
        """Return what a directory holds, nothing of what is none."""
        try:
            return list(self.sys.listdir(path))
        except OSError:
            return []

    def command(self, command: str) -> bool:
        """Run one command; an error is one line of output. Ctrl-C is for the whole pipeline."""
        name = command.split(None, 1)[0]
        ends, self.status = False, 0 if name not in LEAVING else self.status
        self.stdout = sys.stdout  # cmd.Cmd's help goes where all goes: a pipe, a file
        try:
            ends = bool(super().onecmd(command))
        except (MemoryFault, TaskKilled, UsageError, ValueError) as error:
            self.complain(f"{name}: {error}")
        except NobodyReads:
            self.status = BROKEN_PIPE
        except Untaken as error:
            self.complain(f"{name}: {error}")
        except OSError as error:
            self.complain(f"{name}: {error.strerror or error}")
        return ends or not self.task.alive

    def complain(self, sentence: str) -> None:
        """Say what went wrong, at the terminal."""
        print(sentence, file=self._terminal_output)
        self.status = 1

    def emptyline(self) -> bool:
        """Do nothing on an empty line (the base class would repeat the last one)."""
        return False

    def default(self, line: str) -> None:
        """Complain about a command that does not exist."""
        name = line.split()[0]
        if "/" in name:
            self.do_run(line)
            return
        known = [method.removeprefix("do_") for method in self.get_names() if method[:3] == "do_"]
        hint = f"; 'help' lists the console's; programs run by path, as {BUSYBOX} {name}"
        print(f"{name}: no such command{did_you_mean(name, known, hint)}")
        self.status = NOT_FOUND

    def completedefault(self, text: str, *_: object) -> list[str]:
        """Complete paths of the machine."""
        return list(self._paths(text))

    def complete_sysctl(self, text: str, *_: object) -> list[str]:
        """Complete names of sysctls."""
        return [entry.name for entry in self.kernel.sysctl.entries() if entry.name.startswith(text)]

    def complete_run(self, text: str, *_: object) -> list[str]:
        """Complete paths of the host."""
        path = Path(text)
        folder = path if text.endswith("/") else path.parent
        found = ((str(path), path.is_dir()) for path in folder.glob("*"))
        return sorted(name + "/" * folder for name, folder in found if name.startswith(text))

    # ---- helpers ----

    def _contents(self, path: str) -> Iterator[bytes]:
        """Yield what a file holds, read with system calls of the shell's task."""
        descriptor = self.sys.open(path, self.sys.O_RDONLY, 0)
        try:
            yield from iter(lambda: self.sys.read(descriptor, CHUNK), b"")
        finally:
            self.sys.close(descriptor)

    def read_file(self, path: str) -> str:
        """Return a file's text, read with system calls of the shell's task."""
        return b"".join(self._contents(path)).decode(errors="replace")

    def write_file(self, path: str, data: bytes, flags: int) -> None:
        """Write data with system calls of the shell's task."""
        descriptor = self.sys.open(path, flags, 0o644)
        try:
            self.sys.write(descriptor, data)
        finally:
            self.sys.close(descriptor)

    @contextmanager
    def _complaints(self, name: str, path: str) -> Iterator[None]:
        """Print an error as a shell does, with the path, and go on."""
        try:
            yield
        except OSError as error:
            self.complain(f"{name}: {path}: {error.strerror}")

    def _words(self, line: str, at_least: int = 0) -> list[str]:
        words = shlex.split(line)
        if len(words) < at_least:
            raise UsageError(f"too few arguments: {self._usage(self.lastcmd.split()[0])}")
        return words

    def _usage(self, name: str) -> str:
        """Return how a command is written: what its help begins with."""
        return (getattr(self, f"do_{name}").__doc__ or name).partition(": ")[0]

    def _paths(self, text: str) -> Iterator[str]:
        folder, _, start = text.rpartition("/")
        prefix = folder + "/" if "/" in text else ""
        for name in sorted(self._names(prefix or ".")):
            if name.startswith(start):
                yield prefix + name + ("/" if self._is_directory(prefix + name) else "")

    def _is_directory(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(self.sys.stat(path).st_mode)
        except OSError:  # a link that leads nowhere
            return False


def _short(path: str, name: str) -> str:
    """Return a line of ls."""
    return name


def _unprompted(prompt: str = "") -> str:
    """Read a line of `python` that comes through a pipe."""
    return input()


def _leave_python(*_: object) -> None:
    """Go back from `python` to the console."""
    raise SystemExit


@contextmanager
def _completing(names: Mapping[str, Any]) -> Iterator[None]:
    """Let Tab complete Python's names."""
    before, delims = readline.get_completer(), readline.get_completer_delims()
    readline.set_completer(Completer(dict(names)).complete)
    readline.set_completer_delims(delims + "()[]{}=+-*/,:!&~^<'\"")
    try:
        yield
    finally:
        readline.set_completer(before)
        readline.set_completer_delims(delims)
