"""What a VMA shows of a file: the name that /proc/PID/maps and core files have for it."""

from __future__ import annotations

from pkern.kernel.core import lib
from pkern.kernel.typed import TYPE_CHECKING, Protocol
from pkern.kernel.vfs.fs.devices import ZeroDevice

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.vfs.file import File

ZERO, ANON_HUGE = "/dev/zero (deleted)", "/anon_hugepage (deleted)"


class Files(Protocol):
    """Who knows the open file of a cookie: the Vfs."""

    def file_of(self, cookie: int) -> File | None: ...


def file_of(files: Files, vma: Vma) -> File | None:
    """Return the open file that a VMA was made with; shared memory of /dev/zero has another one."""
    file = files.file_of(vma.file_cookie) if vma.file_cookie else None
    return None if file is not None and is_zero(vma, file) else file


def is_zero(vma: Vma, file: File) -> bool:
    """Tell whether a VMA shares memory that was asked for by /dev/zero."""
    return isinstance(file.inode, ZeroDevice) and bool(vma.flags & lib.VM_MAYSHARE)


def name_of(files: Files, vma: Vma) -> str | None:
    """Return the path of what a VMA shows, None for memory of no file."""
    file = file_of(files, vma)
    if file is not None:
        return file.shown_path
    if not vma.mapping_cookie or vma.flags & lib.VM_SPECIAL:
        return None
    return ANON_HUGE if vma.flags & lib.VM_HUGETLB else ZERO
