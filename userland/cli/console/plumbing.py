"""What stands between the commands of the console's pipelines: pipes of the machine.

A command of the console itself runs on the host's Python, in its turn; programs in machine code run
in the machine's scheduler. Whoever of the first kind finds a pipe full, or empty, lets the second
kind run until that has changed. No two commands of the console ever wait for each other: none of
them reads but a bare `cat`, for which a pipe does.
"""

from __future__ import annotations

import io
import shlex
import sys as host
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signals import Signal
from pkern.kernel.tty.host import Terminal
from pkern.kernel.vfs.inode import POLLIN, POLLOUT
from pkern.kernel.vfs.readiness import POLLERR, POLLHUP
from pkern.userland.cli.options import UsageError
from pkern.userland.given import Given

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Inode
    from pkern.userland.machine_code import Stdio
    from pkern.userland.program import Sys

CHUNK = 65536
COPY = "cat"
PROGRAM_UID = 1000


class Pipe(NamedTuple):
    """The shell's descriptors of both ends."""

    reader: int
    writer: int


def let_run(sys: Sys, fd: int, wanted: int) -> None:
    """Let programs run until an open file is ready. Errors: Deadlock (it never will be)."""
    file: File = sys.task.fds.get(fd)
    sys.kernel.need_scheduler().run_until(lambda: bool(file.inode.poll(file) & wanted))


class Untaken(Exception):
    """What a command prints is not taken; the text says where, and why. No OSError of its own."""


class NobodyReads(Untaken):
    """The reader has gone."""


class Writer(io.TextIOBase):
    """Standard output of a command of the console: a descriptor of the shell's task.

    path: of the file, in a complaint. Errors: Untaken.
    """

    def __init__(self, sys: Sys, fd: int, path: str = "") -> None:
        self._sys = sys
        self._fd = fd
        self._path = path

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.write_bytes(text.encode("utf-8", "surrogateescape"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write all of data."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._sys.write(self._fd, left) :]
            except BlockingIOError:
                let_run(self._sys, self._fd, POLLOUT | POLLERR)
            except BrokenPipeError:
                raise NobodyReads from None
            except SyscallError as error:
                raise Untaken(f"{self._path}: {error.strerror}") from None


def drain(sys: Sys, fd: int) -> Iterator[bytes]:
    """Yield what comes through a pipe, to its end."""
    while True:
        try:
            data: bytes = sys.read(fd, CHUNK)
        except BlockingIOError:
            let_run(sys, fd, POLLIN | POLLHUP)
            continue
        if not data:
            return
        yield data


class Ends:
    """The pipes of one line, and which of their ends the shell still holds."""

    def __init__(self, sys: Sys, number: int) -> None:
        self._sys = sys
        self._held: set[int] = set()
        self.pipes = [Pipe(*sys.pipe2(sys.O_CLOEXEC)) for _ in range(number)]
        for pipe in self.pipes:
            self._held.update(pipe)

    def close(self, *fds: int) -> None:
        """Close ends that are no longer the shell's to hold."""
        for fd in self._held.intersection(fds):
            self._held.discard(fd)
            self._sys.close(fd)

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(*self._held)


def emit(data: bytes) -> None:
    """Print bytes: as they are into a pipe or a file, readable at the terminal."""
    if isinstance(host.stdout, Writer):
        host.stdout.write_bytes(data)
    else:
        print(data.decode(errors="replace"), end="")


def program_of(command: str) -> list[str] | None:
    """Return the words of a command that is a program in machine code, None of another."""
    words = shlex.split(command)
    if words[0] == "run":
        words = words[1:]
    elif "/" not in words[0]:
        return None
    return words if words and not words[0].endswith(".py") else None


class Shell(Protocol):
    """What a pipeline asks of the console."""

    kernel: Kernel
    sys: Sys
    status: int

    def command(self, command: str) -> bool: ...
    def command_into(self, command: str, output: Writer) -> bool: ...
    def complain(self, sentence: str) -> None: ...


class Job(NamedTuple):
    """A program of the pipeline that has begun."""

    place: int
    task: Task
    given: Given
    stdio: Stdio


class SideBySide:
    """One pipeline: its programs run side by side, its other commands in their turn.

    A `cat` without a path hands on what comes, which a pipe does without it.
    """

    def __init__(self, shell: Shell, commands: list[str], output: Writer | None) -> None:
        """Take commands apart. output: where the last one's goes, None: the host's."""
        self.shell = shell
        self.sys = shell.sys
        self.output = output
        self.commands = [one for place, one in enumerate(commands) if place == 0 or one != COPY]
        self.programs = {
            place: words
            for place, command in enumerate(self.commands)
            if (words := program_of(command)) is not None
        }
        self.last = len(self.commands) - 1
        self.ends_in_copy = len(commands) > 1 and commands[-1] == COPY
        self.has_sink = self.last in self.programs and (output is not None or self.ends_in_copy)
        self.jobs: list[Job] = []
        self.statuses: dict[int, int] = {}  # of programs, by place
        self.paths: dict[str, str] = {}  # of programs, in the machine

    def run(self, owed: bytes | None) -> bool:
        """Run all; tell whether the shell ends. owed: of the terminal (Terminal)."""
        from pkern.userland.cli.program.elf_command import (  # for those with pipes
            ENGINE_ENDS,
            interrupt,
        )

        ends, refused = False, None
        with Ends(self.sys, self.last + self.has_sink) as self.ends:
            try:
                self._bring()
                self._start(owed)
                ends = self._take_turns()
                refused = self._sink()
                self._finish()
                if refused is not None:
                    self.shell.complain(f"{self.commands[-1].split()[0]}: {refused}")
            except KeyboardInterrupt:
                interrupt(self.shell.kernel)
                raise
            except ENGINE_ENDS as error:
                self.shell.complain(str(error))
            finally:
                self._clean_up()
        self.shell.status = self._status(refused)
        return ends

    def _status(self, refused: Untaken | None) -> int:
        """Return the last command's; of a `cat`, whether all it copied was taken."""
        if refused is not None:
            return 1
        return 0 if self.ends_in_copy else self.statuses.get(self.last, self.shell.status)

    def _bring(self) -> None:
        """Bring the host's programs into the machine, before any of them runs."""
        from pkern.userland.cli.program.elf_command import fill_root

        for place, words in list(self.programs.items()):
            if words[0] not in self.paths:
                try:
                    self.paths[words[0]] = fill_root(self.shell.kernel, words[0], None)
                except UsageError as error:
                    self.shell.complain(f"{words[0]}: {error}")
                    self.statuses[place] = error.status

    def _start(self, owed: bytes | None) -> None:
        """Start the programs, then leave to them their ends of the pipes."""
        for place, words in self.programs.items():
            if words[0] in self.paths:
                self._start_one(place, words, owed)
        for place, pipe in enumerate(self.ends.pipes):
            if place in self.programs:
                self.ends.close(pipe.writer)
            if place != self.last:  # a command of the shell reads nothing
                self.ends.close(pipe.reader)

    def _start_one(self, place: int, words: list[str], owed: bytes | None) -> None:
        from pkern.userland.cli import ends
        from pkern.userland.cli.program.elf_command import host_descriptors, start

        kernel, given = self.shell.kernel, Given(tuple(words), PROGRAM_UID)
        stdio = host_descriptors(kernel, None if place == 0 else b"", owed)
        if place > 0:
            stdio = stdio._replace(stdin=self._pipe(place - 1))  # type: ignore[arg-type]
        if place < len(self.ends.pipes):
            stdio = stdio._replace(stdout=self._pipe(place))
        begun = start(kernel, self.paths[words[0]], given, stdio, None)
        if isinstance(begun, ends.Ending):
            self.statuses[place] = ends.tell(kernel, None, given, begun, None, None)
            return
        self._join(begun, stdio)
        self.jobs.append(Job(place, begun, given, stdio))

    def _pipe(self, place: int) -> Inode:
        return self.sys.task.fds.get(self.ends.pipes[place].reader).inode

    def _join(self, task: Task, stdio: Stdio) -> None:
        """Let the first program have the terminal, and the others be of its group."""
        if self.jobs:
            first, own = self.jobs[0].task.group, task.group
            own.pgid, own.sid, own.tty = first.pgid, first.sid, first.tty
        elif isinstance(stdio.stdin, Terminal):
            stdio.stdin.control(task)

    def _take_turns(self) -> bool:
        """Run the shell's own commands; tell whether one ends the shell."""
        ends = False
        for place, command in enumerate(self.commands):
            if place in self.programs:
                continue
            if place < self.last:
                writer = self.ends.pipes[place].writer
                ends |= self.shell.command_into(command, Writer(self.sys, writer))
                self.ends.close(writer)
            elif self.output is not None:
                ends |= self.shell.command_into(command, self.output)
            else:
                ends |= self.shell.command(command)
        return ends

    def _sink(self) -> Untaken | None:
        """Take what the last program prints to a file, or to the terminal for a `cat`.

        Return why not all of it.
        """
        if not self.has_sink:
            return None
        out = emit if self.output is None else self.output.write_bytes
        reader = self.ends.pipes[self.last].reader
        try:
            for data in drain(self.sys, reader):
                out(data)
        except Untaken as error:
            return error
        finally:
            self.ends.close(reader)
        return None

    def _finish(self) -> None:
        """Run the programs to their ends, and say how they ended."""
        from pkern.userland.cli import ends

        kernel = self.shell.kernel
        if self.jobs:
            kernel.need_scheduler().run_until(lambda: not any(j.task.alive for j in self.jobs))
        for job in self.jobs:
            ending = ends.of_task(job.task)
            self.statuses[job.place] = ends.tell(kernel, job.task, job.given, ending, None, None)
            if job.place == self.last and ending.status and not self.has_sink:
                print(f"exit status {ending.status}")

    def _clean_up(self) -> None:
        for job in self.jobs:
            if job.task.alive:
                job.task.die_of(Signal.SIGKILL)
            if isinstance(job.stdio.stdin, Terminal) and job is self.jobs[0]:
                job.stdio.stdin.restore()
