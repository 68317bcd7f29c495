"""Where a machine is mounted, for how long, and why it cannot be.

FUSE is served by threads of libfuse's; the machine's own thread is its owner (kernel/visits.py).
The mount ends with the machine, however that ends: by itself, by an exception, Ctrl-C, SIGTERM or
SIGHUP. Only where the process is killed outright the host is left with a directory that answers
ENOTCONN, until it is unmounted. Whoever has a file open there gets ENOTCONN, too, never a hang.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes.util import find_library
from errno import ENOTCONN
from pathlib import Path
from shutil import which
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from pkern.kernel.vfs.fs.hostfs import HiddenName, HostFs
from pkern.kernel.visits import Visits
from pkern.userland.mount.guests import Guests

if TYPE_CHECKING:
    from types import FrameType

    from pkern.kernel.machine import Kernel

DEVICE = Path("/dev/fuse")
CONFIGURATION = Path("/etc/fuse.conf")
CLONE_FS = 0x200
JOIN_SECONDS, MOST_THREADS = 5, 16
ENDING = (signal.SIGTERM, signal.SIGHUP)
UNCACHED = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0, "direct_io": True}


class NotMounted(Exception):
    """A machine that cannot be mounted; the text says why, as a sentence."""


class Ended(KeyboardInterrupt):
    """A signal of the host's has ended the run: as Ctrl-C does."""

    def __init__(self, signo: int) -> None:
        super().__init__(signo)
        self.signo = signo


@contextmanager
def mounted(kernel: Kernel, directory: str | os.PathLike[str]) -> Iterator[Event]:
    """Show a machine's files in a directory of the host for a while.

    The owner of the machine, whose thread this is, is inside: kernel.visits is the door. The event
    is set when somebody has unmounted it. Errors: NotMounted.
    """
    if not os.fspath(directory):
        raise NotMounted("'' is no name of a directory")
    path = Path(directory).absolute()
    _need_mountable(path)
    _hide(kernel, path)
    visits = kernel.visits = Visits()
    guests = Guests(kernel, visits)
    server = _Server(guests, path)
    try:
        with _ending_signals():
            server.start()
            try:
                yield server.over
            finally:
                guests.leave()
                server.stop()
    except Ended as ended:  # the mount has gone: now as if nobody had caught it
        signal.signal(ended.signo, signal.SIG_DFL)
        os.kill(os.getpid(), ended.signo)
        raise
    finally:
        kernel.visits = None


def _need_mountable(path: Path) -> None:
    """Refuse what cannot be mounted on. Errors: NotMounted."""
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        hint = f"; `umount {path}` takes it away" if error.errno == ENOTCONN else ""
        raise NotMounted(f"'{path}' cannot be mounted on: {error.strerror}{hint}") from error
    if not is_directory:
        raise NotMounted(f"'{path}' is not a directory of the host")
    if path.is_mount():
        raise NotMounted(f"something is mounted on '{path}' already")
    if _has_names(path):  # which would be hidden, also from this process
        raise NotMounted(f"'{path}' is not empty")
    _need_fuse()


def _has_names(path: Path) -> bool:
    """Tell whether a directory is not empty. Errors: NotMounted."""
    try:
        with os.scandir(path) as names:
            return any(names)
    except OSError as error:
        raise NotMounted(f"'{path}' cannot be read: {error.strerror}") from error


def _need_fuse() -> None:
    """Refuse a host that cannot mount for this user. Errors: NotMounted."""
    if os.geteuid() and which("fusermount3") is None:
        raise NotMounted("who is not root needs fusermount3 (Debian: apt install fuse3)")
    try:
        if os.geteuid() == 0:
            os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
        else:  # fusermount3 opens it
            DEVICE.stat()
    except OSError as error:
        raise NotMounted(f"the host has no FUSE to use: {DEVICE}: {error.strerror}") from error


def _hide(kernel: Kernel, path: Path) -> None:
    """Let the machine not see itself where it shows the host: it would wait for its own answer."""
    above = path.parent.stat()
    for mount in kernel.vfs.mounts:
        fs = getattr(mount.fs, "lower", mount.fs)
        if isinstance(fs, HostFs):
            fs.hidden = HiddenName(above.st_dev, above.st_ino, path.name)


@contextmanager
def _ending_signals() -> Iterator[None]:
    """Let the host's signals that end a process unmount first. Errors: Ended."""

    def end(signo: int, frame: FrameType | None) -> None:
        raise Ended(signo)

    before: dict[int, Any] = {}
    with suppress(ValueError):  # not the main thread: the signals are not ours
        for signo in ENDING:
            if signal.getsignal(signo) is signal.SIG_DFL:
                before[signo] = signal.signal(signo, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server:
    """The threads that answer the host."""

    def __init__(self, guests: Guests, path: Path) -> None:
        """Load what speaks to FUSE. Errors: NotMounted."""
        if find_library("fuse3"):  # libfuse 2 has no flags of a rename, and mfusepy prefers it
            os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
        try:
            from pkern.userland.mount.tree import Fuse, Tree
        except ModuleNotFoundError as error:
            hint = "pip install '.[fuse]' in pkern's folder"
            raise NotMounted(f"{error.name} is missing, which speaks to FUSE: {hint}") from error
        except OSError as error:
            raise NotMounted("libfuse is missing (Debian: apt install libfuse3-3)") from error
        self._path = path
        self._ready, self.over = Event(), Event()
        self._tree = Tree(guests, self._ready.set)
        self._fuse: Any = Fuse
        self._thread = Thread(target=self._serve, name="pkern-fuse", daemon=True)

    def start(self) -> None:
        """Mount, and return once the files are there. Errors: NotMounted."""
        self._thread.start()
        while not self._ready.wait(0.05):
            if self.over.is_set():
                raise NotMounted(f"the host refused to mount on '{self._path}'")

    def _serve(self) -> None:
        ctypes.CDLL(None).unshare(CLONE_FS)  # libfuse goes to / with all threads that share it
        try:
            options = {**UNCACHED, **_threads(), "allow_other": _may_show_others()}
            self._fuse(
                self._tree,
                str(self._path),
                foreground=True,
                fsname="pkern",
                nodev=True,
                nosuid=True,
                use_ino=True,
                hard_remove=True,
                **options,
            )
        except RuntimeError:  # libfuse has said why
            pass
        finally:
            self.over.set()

    def stop(self) -> None:
        """Unmount, and send away who still has files open."""
        self._tree.leaves = True
        with suppress(OSError):  # the answer to this ends the loop that gives it
            os.statvfs(self._path)
        self._thread.join(JOIN_SECONDS)


def _threads() -> dict[str, int]:
    """Return how many may serve; without it libfuse 3.14 complains of its own default."""
    import mfusepy

    found = mfusepy.fuse_version_major, mfusepy.fuse_version_minor
    names = ("max_threads", "max_idle_threads") if found >= (3, 12) else ()
    return dict.fromkeys(names, MOST_THREADS)


def _may_show_others() -> bool:
    """Tell whether other users of the host may come in: by fuse.conf, root's files anyway."""
    if os.geteuid() == 0:
        return True
    with suppress(OSError):
        return "user_allow_other" in map(str.strip, CONFIGURATION.read_text().splitlines())
    return False
