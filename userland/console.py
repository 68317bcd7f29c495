"""A live machine at the terminal: `pkern console`.

Owns the small shell and its commands. The shell is a root task of the machine; what its commands do
to files they do with that task's system calls, so /proc/sys obeys the rules of any program.
The host's readline gives history and completion.
"""

import argparse
import cmd
import code
import os
import readline
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from kernel.errors import MemoryFault, TaskKilled
from kernel.machine import Kernel
from userland import reference
from userland.options import UsageError, boot, existing, sysctl_name
from userland.program import Sys, load_program, run_program
from userland.tables import print_table

HISTORY = Path("~/.pkern_history").expanduser()
CHUNK = 65536  # bytes read at a time by cat


def open_console(options: argparse.Namespace) -> int:
    """Boot a machine, run the shell on the terminal, return 0."""
    with boot(options) as kernel, _history():
        Console(kernel).cmdloop()
    return 0


class _history:
    """Lines typed in earlier sessions, kept in a file of the user's home."""

    def __enter__(self) -> None:
        if sys.stdin.isatty() and HISTORY.exists():
            readline.read_history_file(HISTORY)

    def __exit__(self, *_: object) -> None:
        if sys.stdin.isatty():
            readline.set_history_length(1000)
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
        if not sys.stdin.isatty():
            self.prompt = ""
            self.intro = ""
        readline.set_completer_delims(" \t\n>")

    # ---- files ----

    def do_cat(self, line: str) -> None:
        """cat PATH...: print files."""
        for path in self._words(line, at_least=1):
            print(self.read_file(path), end="")

    def do_echo(self, line: str) -> None:
        """echo TEXT [> PATH | >> PATH]: print the text, or write it to a file."""
        text, append, path = _redirection(line)
        words = " ".join(self._words(text)) + "\n"
        if not path:
            print(words, end="")
            return
        flags = self.sys.O_APPEND if append else self.sys.O_TRUNC
        self.write_file(path, words.encode(), self.sys.O_WRONLY | self.sys.O_CREAT | flags)

    def do_ls(self, line: str) -> None:
        """ls [PATH...]: list directories."""
        for path in self._words(line) or ["."]:
            for name in sorted(self.sys.listdir(path)):
                print(name)

    def do_rm(self, line: str) -> None:
        """rm PATH...: remove files."""
        for path in self._words(line, at_least=1):
            self.sys.unlink(path)

    def do_truncate(self, line: str) -> None:
        """truncate PATH SIZE: set a file's size in bytes."""
        path, size = self._words(line, at_least=2)[:2]
        self.sys.truncate(path, int(size, 0))

    # ---- what the kernel knows ----

    def do_sysctl(self, line: str) -> None:
        """sysctl [-a] [PATTERN] | NAME=VALUE: show or set sysctls."""
        words = [word for word in self._words(line) if word not in ("-a", "-w")]
        if words and "=" in "".join(words):
            name, _, value = " ".join(words).partition("=")
            path = "/proc/sys/" + sysctl_name(name).replace(".", "/")
            self.write_file(path, value.strip().encode() + b"\n", self.sys.O_WRONLY)
            return
        rows = reference.sysctl_rows(self.kernel, words[0] if words else "")
        print_table("", reference.SYSCTL_HEADERS, rows)

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
        program = load_program(str(existing(words[0])))
        status = run_program(self.kernel, program, words, uid=1000)
        if status:
            print(f"exit status {status}")

    def do_python(self, line: str) -> None:
        """python [STATEMENT]: Python with `kernel`, `task` and `sys`, the shell's own calls."""
        names: dict[str, object] = {"kernel": self.kernel, "task": self.task, "sys": self.sys}
        shell = code.InteractiveConsole(names)
        if line:
            shell.push(line)
        else:
            shell.interact(banner="kernel, task, sys; Ctrl-D goes back", exitmsg="")

    def do_exit(self, line: str) -> bool:
        """exit: stop the machine."""
        return True

    do_EOF = do_exit  # cmd.Cmd's name for end of file

    # ---- the loop ----

    def onecmd(self, line: str) -> bool:
        """Run one line; an error is one line of output and the shell goes on."""
        name = line.split(None, 1)[0] if line.strip() else ""
        try:
            return bool(super().onecmd(line))
        except (MemoryFault, TaskKilled, UsageError, ValueError) as error:
            print(f"{name}: {error}")
        except OSError as error:
            print(f"{name}: {os.strerror(error.errno or 0)}")
        return False

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
        return sorted(str(found) for found in folder.glob("*") if str(found).startswith(text))

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
        yield from (prefix + name for name in sorted(names) if name.startswith(start))


def _redirection(line: str) -> tuple[str, bool, str]:
    """Split `TEXT > PATH` into text, whether it appends, and path ("" for none)."""
    text, mark, path = line.partition(">")
    if not mark:
        return text, False, ""
    return text, path.startswith(">"), path.lstrip(">").strip()
