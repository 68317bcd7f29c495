"""What of the host a machine shows, where its owner asks for that: a root, directories bound."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import names
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.kernel.vfs.fs.tmpfs import TmpFs
from pkern.kernel.vfs.mounts import Path as Spot
from pkern.kernel.vfs.walk import Last
from pkern.userland.given import Layer, NotGiven, kernel_task

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel


class Bind(NamedTuple):
    """A directory of the host, and where the machine shows it."""

    host: Path
    inside: str
    access: Access


def read_bind(text: str) -> Bind:
    """Return what HOST[:INSIDE][:rw] asks for; without INSIDE it is shown at its own path.

    Errors: NotGiven (no directory, a relative INSIDE).
    """
    parts = text.split(":")
    access = Access.READ_ONLY
    if len(parts) > 1 and parts[-1] in ("rw", "ro"):
        access = Access(parts.pop())
    host = Path(parts[0]).expanduser()
    if len(parts) > 2 or not parts[0]:
        raise NotGiven(f"a bind is HOST[:INSIDE][:rw], not '{text}'")
    if not host.is_dir():
        raise NotGiven(f"'{parts[0]}' is not a directory of the host")
    try:
        inside = parts[1] if len(parts) > 1 else str(host.absolute())
    except FileNotFoundError:
        raise NotGiven(f"'{parts[0]}' lies in a directory that has been removed") from None
    if not inside.startswith("/"):
        raise NotGiven(f"'{inside}' is no absolute path of the machine")
    return Bind(host, inside, access)


def show_root(kernel: Kernel, directory: str | os.PathLike[str], layer: Layer) -> None:
    """Show a directory of the host as /, if that is not so already.

    Errors: NotGiven.
    """
    if not Path(directory).is_dir():
        raise NotGiven(f"'{directory}' is not a directory of the host")
    shown, lower = kernel.vfs.mounts[0].fs, HostFs(Path(directory))
    if layer is Layer.READ_ONLY:
        if not _is_same(shown, lower):
            kernel.vfs.set_root(lower)
        return
    from pkern.kernel.vfs.fs.overlay import OverlayFs  # for those who ask

    if not (isinstance(shown, OverlayFs) and _is_same(shown.lower, lower)):
        kernel.vfs.set_root(OverlayFs(lower))


def _is_same(shown: object, asked: HostFs) -> bool:
    """Tell whether a file system that is mounted shows what is asked for."""
    if not isinstance(shown, HostFs) or shown.access is not asked.access:
        return False
    return shown.directory.absolute() == asked.directory.absolute()


def bind(kernel: Kernel, asked: Bind) -> None:
    """Show a directory of the host, if that is not so already.

    The place is made, in memory, where it is not there. Links on the way are followed. Errors:
    NotGiven (something on the way is no directory).
    """
    place = _place_of(kernel, asked.inside)
    fs, shown = HostFs(asked.host, asked.access), kernel.vfs.file_system(place.inode)
    if place.inode is shown.root and _is_same(shown, fs):
        return
    fs.attach(kernel)
    kernel.vfs.mount_on(place, fs)


def _place_of(kernel: Kernel, path: str) -> Spot:
    task = kernel_task(kernel)
    here = kernel.vfs.top
    for name in (part for part in path.split("/") if part):
        if here.inode.kind != "dir":
            break
        place = kernel.vfs.walk(task, name, Last.FOLLOW, here)
        if place.inode is None:
            made = TmpFs.directory_of(place.directory, 0o755)  # type: ignore[arg-type]
            names.attach(place.directory, place.name, made)
            place = kernel.vfs.walk(task, name, Last.FOLLOW, here)
        here = place.path()
    if here.inode.kind != "dir":
        raise NotGiven(f"'{path}' is no directory of the machine")
    return here
