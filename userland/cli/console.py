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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pkern.kernel.errors import KernelBug, KernelPanic, MemoryFault, TaskKilled
from pkern.kernel.machine import Kernel, parse_size
from pkern.userland.cli import reference
from pkern.userland.cli.boot import boot, sysctl_name
from pkern.userland.cli.ends import show_failure
from pkern.userland.cli.options import UsageError, add_machine_options, existing
from pkern.userland.complaints import sysctl_complaint
from pkern.userland.program import NoMain, Sys, load_program, run_program
from pkern.userland.tables import print_table

HELP = """\
A shell of the machine, as root: cat, echo TEXT > PATH, ls, sysctl, ps, maps, free, dmesg, check,
run FILE.py, python. Tab completes; lines are remembered. `help` explains each command.

examples:
  pkern console
  pkern console --sysctl vm.nonlinear=1
  echo 'cat /proc/meminfo' | pkern console
"""

HISTORY = Path("~/.pkern_history").expanduser()
CHUNK = 65536  # bytes read at a time by cat


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern console`."""
    add_machine_options(parser)


def run(options: argparse.Namespace) -> int:
    """Boot a machine, run the shell on the terminal, return 0."""
    with boot(options) as kernel, _history():
        Console(kernel).cmdloop()
    return 0


class _history:
    """Lines typed in earlier sessions, kept in a file of the user's home if that is possible."""

    def __enter__(self) -> None:
        if sys.stdin.isatty():
            with suppress(OSError):
                readline.read_history_file(HISTORY)

    def __exit__(self, *_: object) -> None:
        if sys.stdin.isatty():
            readline.set_history_length(1000)
            with suppress(OSError):
                readline.write_history_file(HISTORY)


class Console(cmd.Cmd):
    """The shell. A method do_NAME is the command NAME, its docstring the help."""

    intro = "pkern: a live machine. 'help' lists the commands, 'exit' or Ctrl-D ends it."
    prompt = "pkern# "

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.task = kernel.spawn("sh", uid=0, gid=0)
        self.sys = Sys(self.task)
        names: dict[str, object] = {"kernel": kernel, "task": self.task, "sys": self.sys}
        self.python = code.InteractiveConsole(names)
        if not sys.stdin.isatty():
            self.prompt = ""
            self.intro = ""
        readline.set_completer_delims(" \t\n>")

    # ---- files ----

    def do_cat(self, line: str) -> None:
        """cat PATH...: print files."""
        for path in self._words(line, at_least=1):
            with self._complaints("cat", path):
                print(self.read_file(path), end="")

    def do_echo(self, line: str) -> None:
        """echo TEXT [> PATH | >> PATH]: print the text, or write it to a file."""
        words, arrow, path = _redirection(line)
        text = " ".join(words) + "\n"
        if not arrow:
            print(text, end="")
            return
        flags = self.sys.O_TRUNC if arrow == ">" else self.sys.O_APPEND
        with self._complaints("echo", path):
            self.write_file(path, text.encode(), self.sys.O_WRONLY | self.sys.O_CREAT | flags)

    def do_ls(self, line: str) -> None:
        """ls [PATH...]: list directories."""
        for path in self._words(line) or ["."]:
            with self._complaints("ls", path):
                for name in sorted(self.sys.listdir(path)):
                    print(name)

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
            raise UsageError(f"no sysctl's name holds '{words[0]}'")
        print_table("", reference.SYSCTL_HEADERS, rows)

    def _set_sysctl(self, name: str, value: str) -> None:
        path = "/proc/sys/" + name.replace(".", "/")
        try:
            self.write_file(path, value.encode() + b"\n", self.sys.O_WRONLY)
        except OSError as error:
            raise UsageError(sysctl_complaint(self.kernel, name, value) or str(error)) from error

    def do_ps(self, line: str) -> None:
        """ps: list the tasks, with resident and total memory in KiB."""
        rows = []
        for pid, task in sorted(self.kernel.tasks.items()):
            counters = task.mm.counters
            resident = counters.rss_anon + counters.rss_file + counters.rss_shmem
            numbers = (pid, task.ppid, task.uid, 4 * resident, 4 * counters.total_vm)
            rows.append([*map(str, numbers), task.name])
        print_table("", ("PID", "PPID", "UID", "RSS", "VSZ", "COMMAND"), rows)

    def do_maps(self, line: str) -> None:
        """maps [PID]: print a task's memory map (this shell's by default)."""
        pid = (self._words(line) or ["self"])[0]
        with self._complaints("maps", pid):
            print(self.read_file(f"/proc/{pid}/maps"), end="")

    def do_free(self, line: str) -> None:
        """free: print /proc/meminfo."""
        print(self.read_file("/proc/meminfo"), end="")

    def do_dmesg(self, line: str) -> None:
        """dmesg: print the kernel's log."""
        for text in self.kernel.log.lines():
            print(text)

    def do_check(self, line: str) -> None:
        """check: recount every invariant."""
        self.kernel.check()
        print("all invariants hold")

    # ---- programs ----

    def do_run(self, line: str) -> None:
        """run FILE.py [ARGUMENT...]: run a program of the host's disk as user 1000."""
        words = self._words(line, at_least=1)
        path = existing(words[0])
        try:
            program = load_program(path)
            status = run_program(self.kernel, program, words, uid=1000, on_fault=show_failure)
        except NoMain as error:
            raise UsageError(str(error)) from error
        except (KernelBug, KernelPanic):
            raise
        except SystemExit as left:
            raise UsageError(
                "the program left the host's Python: use sys.exit of main's sys"
            ) from left
        except Exception as error:
            status = show_failure(error)
        if status:
            print(f"exit status {status}")

    def do_python(self, line: str) -> None:
        """python [STATEMENT]: Python with `kernel`, `task` and `sys`, the shell's own calls."""
        if line:
            self.python.push(line)
        else:
            self.python.interact(banner="kernel, task, sys; Ctrl-D goes back", exitmsg="")

    def do_exit(self, line: str) -> bool:
        """exit: stop the machine."""
        return True

    # ---- the loop ----

    def precmd(self, line: str) -> str:
        """Take the end of the input, which cmd.Cmd calls EOF, for `exit`."""
        return "exit" if line == "EOF" else line

    def onecmd(self, line: str) -> bool:
        """Run one line; an error is one line of output and the shell goes on while it lives."""
        name = line.split(None, 1)[0] if line.strip() else ""
        ends = False
        try:
            ends = bool(super().onecmd(line))
        except (MemoryFault, TaskKilled, UsageError, ValueError) as error:
            print(f"{name}: {error}")
        except OSError as error:
            print(f"{name}: {error.strerror or error}")
        except KeyboardInterrupt:
            print()
        if not self.task.alive:
            print("the shell's task has ended")
        return ends or not self.task.alive

    def emptyline(self) -> bool:
        """Do nothing on an empty line (the base class would repeat the last one)."""
        return False

    def default(self, line: str) -> None:
        """Complain about a command that does not exist."""
        if line.lstrip().startswith("#"):
            return
        print(f"{line.split()[0]}: no such command; 'help' lists them")

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

    def read_file(self, path: str) -> str:
        """Return a file's text, read with system calls of the shell's task."""
        descriptor = self.sys.open(path, self.sys.O_RDONLY, 0)
        try:
            chunks = iter(lambda: self.sys.read(descriptor, CHUNK), b"")
            return b"".join(chunks).decode(errors="replace")
        finally:
            self.sys.close(descriptor)

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
            print(f"{name}: {path}: {error.strerror}")

    def _words(self, line: str, at_least: int = 0) -> list[str]:
        words = shlex.split(line)
        if len(words) < at_least:
            raise UsageError("too few arguments; 'help' with the command's name explains it")
        return words

    def _paths(self, text: str) -> Iterator[str]:
        folder, _, start = text.rpartition("/")
        prefix = folder + "/" if "/" in text else ""
        try:
            names = self.sys.listdir(prefix or ".")
        except OSError:
            return
        for name in sorted(names):
            if name.startswith(start):
                yield prefix + name + ("/" if self._is_directory(prefix + name) else "")

    def _is_directory(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(self.sys.stat(path).st_mode)
        except OSError:  # a link that leads nowhere
            return False


def _redirection(line: str) -> tuple[list[str], str, str]:
    """Split `TEXT > PATH` into words, the arrow and the path, both "" for none.

    An arrow in quotes is text. Errors: ValueError.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=">")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = list(lexer)
    arrows = [place for place, word in enumerate(words) if word in (">", ">>")]
    if not arrows:
        return words, "", ""
    if arrows != [len(words) - 2]:
        raise ValueError("one path stands behind >")
    return words[:-2], words[-2], words[-1]
