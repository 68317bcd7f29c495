"""Branches of a machine: copies that run in processes of their own, made by fork(2).

Owns what a copy must not share with where it came from. Memory, the engine, Python's objects and
files in memory are copied by the fork, page by page as they are written; swap devices, which are
files of the host without a name, are copied here. What else lies on the host would be changed by
all copies at once, so a machine that holds it is refused.

    machine.branch(f, x)      a copy of it as it is now calls f(copy, x)
    machine.snapshot()        a copy that does nothing and stays as it is
    snapshot.branch(f, x)     a copy of that copy calls f(copy, x)

Each result comes back pickled, with the names of the modules that the branch has imported: who
reads it imports them too, so that later branches find them. The order in which branches run is the
host's; what each of them does is not.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from pkern.kernel import arguments, late
from pkern.kernel.errors import PUBLIC
from pkern.kernel.vfs.console import HostInput
from pkern.kernel.vfs.fs.hostfs import HostFs
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.walk import text_from

if TYPE_CHECKING:
    from pkern.kernel.mm.swap import SwapAreas
    from pkern.kernel.tasks.table import TaskTable
    from pkern.kernel.vfs import Vfs
    from pkern.kernel.visits import Visits

PIPE_BYTES = 1 << 20
OWN = "pkern."  # how the names of modules begin that are no program's
LENGTH = struct.Struct("<Q")
PID = struct.Struct("<q")


class Machine(Protocol):
    """What holds files of the host: a Kernel."""

    @property
    def vfs(self) -> Vfs: ...
    @property
    def swap(self) -> SwapAreas: ...
    @property
    def tasks(self) -> TaskTable: ...

    visits: Visits | None


class NotBranchable(ValueError):
    """A machine that cannot be copied: the text says what of it lies on the host."""

    __module__ = PUBLIC


class BranchEnded(RuntimeError):
    """A branch ended before it had a result.

    status: of its process, as waitpid(2) gives it; None: it is not known.
    """

    __module__ = PUBLIC

    def __init__(self, status: int | None) -> None:
        self.status = status
        how = "" if status is None else f": {_how(status)}"
        super().__init__(f"the branch ended without a result{how}")

    def __reduce__(self) -> tuple[type[BranchEnded], tuple[int | None]]:
        return BranchEnded, (self.status,)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit status {os.waitstatus_to_exitcode(status)}"


class Branch:
    """A copy of a machine that calls a function; as a file it can be read when that is done."""

    def __init__(self, pid: int, fd: int, wait: Callable[[int], int | None]) -> None:
        self.pid = pid
        self._fd = fd
        self._wait = wait
        self._data = bytearray()
        self._outcome: tuple[bool, Any] | None = None

    def fileno(self) -> int:
        """Return the descriptor to wait for: for select(2) and its kin."""
        return self._fd

    def __enter__(self) -> Branch:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def read(self) -> bool:
        """Take what has come of the result, waiting for some; tell whether that was the end."""
        if self._outcome is not None:
            return True
        part = os.read(self._fd, PIPE_BYTES)
        self._data += part
        if not part:
            self._end()
        return not part

    def _end(self) -> None:
        # Wherever a Ctrl-C comes, kill() is to find one that has ended.
        self._outcome = False, BranchEnded(None)
        os.close(self._fd)
        status = self._wait(self.pid)
        self._outcome = unpacked(self._data, status)
        self._data.clear()

    def result(self, timeout: float | None = None) -> Any:
        """Return what the function returned, or raise what it raised, in this process.

        timeout: seconds of the host's clock to wait, None: for ever. Errors: TimeoutError (it goes
        on), BranchEnded, and the function's own.
        """
        end = None if timeout is None else monotonic() + timeout
        while self._outcome is None:
            left = None if end is None else max(0.0, end - monotonic())
            if not select.select([self._fd], [], [], left)[0]:
                raise TimeoutError(f"the branch has no result after {timeout} s")
            self.read()
        return settled(self._outcome)

    def kill(self) -> None:
        """End it; one that has ended already is left alone."""
        if self._outcome is not None:
            return
        with suppress(ProcessLookupError):  # the host has reaped it
            os.kill(self.pid, signal.SIGKILL)
        while not self.read():
            pass


# ---- what a copy does ----


def check(kernel: Machine) -> None:
    """Look whether a machine can be copied. Errors: NotBranchable."""
    for mount in kernel.vfs.mounts:
        if isinstance(mount.fs, HostFs) and not mount.fs.read_only:
            place = text_from(None, Path(mount, mount.root))
            raise NotBranchable(
                f"{place} is a directory of the host that may be written: its branches would"
                " all write to it (show it read only, or as an overlay)"
            )
    for area in kernel.swap.areas:
        if area.kind == "file":
            raise NotBranchable(f"the machine swaps to {area.path}, a file of the host")
    for task in kernel.tasks.values():
        if any(isinstance(file.inode, HostInput) for file in task.fds.files.values()):
            raise NotBranchable(f"task {task.pid} reads the host's standard input: it has one end")


class Reply:
    """What a copy has to send its result with."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def run(self, function: Callable[[], Any]) -> NoReturn:
        """Call a function, send what it returns or raises, and end the process."""
        status = 1
        try:
            self._send(function)
            status = 0
        finally:
            # Without what the process that was forked has still to do.
            os._exit(status)

    def _send(self, function: Callable[[], Any]) -> None:
        data = outcome_of(function)
        with open(self._fd, "wb") as pipe:
            pipe.write(data)


# ---- how a function ended, on its way to another process ----


def outcome_of(function: Callable[[], Any]) -> bytes:
    """Call a function; return, pickled, what it imported, and what it returned or raised.

    What it printed is written.
    """
    last = next(reversed(sys.modules))  # all of them would be touched, and so copied
    try:
        is_value, value = True, function()
    except BaseException as error:
        is_value, value = False, error
    sys.stdout.flush()
    sys.stderr.flush()
    new = takewhile(lambda name: name != last, reversed(sys.modules))
    modules = [name for name in new if name.startswith(OWN)][::-1]
    try:
        return pickle.dumps((modules, is_value, value))
    except Exception as error:  # whatever the objects' own methods raise
        kind = "result" if is_value else "exception"
        text = f"the branch's {kind} cannot be pickled ({error}): {value!r:.200}"
        return pickle.dumps((modules, False, TypeError(text)))


def unpacked(data: bytes | bytearray, status: int | None) -> tuple[bool, Any]:
    """Return (True, what was returned) or (False, what was raised) from what has come of it.

    What was imported is imported here too. status: of the process, for one that ended before.
    """
    try:
        modules, is_value, value = pickle.loads(data)
    except (EOFError, pickle.UnpicklingError):
        return False, BranchEnded(status)
    except Exception as error:  # whatever the objects' own methods raise
        return False, TypeError(f"what the branch has sent cannot be unpickled ({error})")
    for module in modules:
        late.load(module)
    return is_value, value


def settled(outcome: tuple[bool, Any]) -> Any:
    """Return what was returned, or raise what was raised; outcome: as unpacked() gives it."""
    is_value, value = outcome
    if is_value:
        return value
    raise value


def receive(connection: socket.socket, nbytes: int) -> bytes:
    """Return the next so many bytes. Errors: BranchEnded where they do not come."""
    data = bytearray()
    while len(data) < nbytes:
        part = connection.recv(nbytes - len(data))
        if not part:
            raise BranchEnded(None)
        data += part
    return bytes(data)


# ---- the fork ----


def fork_process() -> int:
    """As fork(2); what is buffered is written before."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def part(kernel: Machine) -> None:
    """Let a copy, which has just been forked, have what is not copied by that, or end it."""
    gc.freeze()  # a collection would write to, and so copy, all that was there
    try:
        kernel.swap.copy_devices()
    except OSError as error:  # raised, it would have the caller's program go on twice
        print(f"pkern: a copy of the machine has no room for its swap: {error}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
    kernel.visits = None  # the threads that come in stay with the first one


def fork(kernel: Machine) -> int:
    """Go on twice from here: return the copy's pid, and 0 in the copy, which nobody waits for.

    Errors: NotBranchable, OSError.
    """
    check(kernel)
    pid = fork_process()
    if not pid:
        part(kernel)
    return pid


def split(kernel: Machine) -> Branch | Reply:
    """Go on twice from here, as after fork(2): return the copy's Branch, and in the copy a Reply.

    Errors: NotBranchable, OSError.
    """
    check(kernel)
    mine, its = os.pipe()
    try:
        pid = fork_process()
    except OSError:
        os.close(mine)
        os.close(its)
        raise
    if pid:
        os.close(its)
        return Branch(pid, mine, lambda pid: os.waitpid(pid, 0)[1])
    os.close(mine)
    part(kernel)
    return Reply(its)


def branch(kernel: Machine, function: Callable[..., Any], args: tuple[Any, ...]) -> Branch:
    """Let a copy of the machine call function(copy, *args). Errors: NotBranchable, OSError."""
    arguments.to_call("branch() argument 'function'", function)
    made = split(kernel)
    if isinstance(made, Branch):
        return made
    return made.run(partial(function, kernel, *args))


# ---- a copy that waits ----


class Snapshot:
    """A machine as it was: a process that waits, of which any number of branches can be made."""

    def __init__(self, kernel: Machine) -> None:
        """Take it. Errors: NotBranchable, OSError of the host."""
        check(kernel)
        self._socket, its = socket.socketpair()
        with its:
            self._holder = branch(kernel, _hold, (its.fileno(), self._socket.fileno()))

    def branch(self, function: Callable[..., Any], *args: Any) -> Branch:
        """Let a copy call function(copy, *args); all of these must be picklable.

        Errors: NotBranchable, OSError of the host; ValueError when it is closed; BranchEnded when
        something else has ended it.
        """
        if self._socket.fileno() < 0:
            raise ValueError("the snapshot is closed")
        arguments.to_call("branch() argument 'function'", function)
        request = pickle.dumps((function, args))
        mine, its = os.pipe()
        try:
            pid = self._ask(request, its)
        except BaseException:
            os.close(mine)
            raise
        finally:
            os.close(its)
        return Branch(pid, mine, lambda _: None)

    def _ask(self, request: bytes, reply: int) -> int:
        """Return the pid of a copy that will do what is asked. Errors: BranchEnded, OSError."""
        try:
            socket.send_fds(self._socket, [LENGTH.pack(len(request))], [reply])
            self._socket.sendall(request)
            (pid,) = PID.unpack(receive(self._socket, PID.size))
        except (BrokenPipeError, ConnectionResetError):  # the host has ended the snapshot
            raise BranchEnded(None) from None
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return int(pid)

    def close(self) -> None:
        """Let it go; its branches go on. A second call does nothing."""
        self._socket.close()
        self._holder.kill()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _hold(kernel: Machine, fd: int, other_end: int) -> None:
    """Be the snapshot: fork whenever asked, until nobody can ask any more."""
    os.close(other_end)  # or this process itself would keep the connection open
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # its children need no one to wait for them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=fd) as connection:
        while True:
            head, fds, _, _ = socket.recv_fds(connection, LENGTH.size, 1)
            if not fds:
                return
            request = receive(connection, LENGTH.unpack(head)[0])
            connection.sendall(PID.pack(_fork_for(kernel, fds[0], request)))
            os.close(fds[0])


def _fork_for(kernel: Machine, fd: int, request: bytes) -> int:
    """Return the pid of a copy that does what was asked, or -errno."""
    try:
        pid = fork_process()
    except OSError as error:
        return -(error.errno or 0)
    if not pid:
        part(kernel)
        Reply(fd).run(partial(_asked, kernel, request))
    return pid


def _asked(kernel: Machine, request: bytes) -> Any:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    function, args = pickle.loads(request)
    return function(kernel, *args)
