"""The virtual file system: names, mounts, and the tables from cookies to inodes and files.

Paths are resolved one component at a time; '..' never leaves the root. The core knows inodes
and open files by cookie only; the two tables here say which they are.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Protocol

from kernel.core import ffi, lib
from kernel.errors import SyscallError
from kernel.vfs.devfs import DevFs
from kernel.vfs.file import File
from kernel.vfs.inode import (
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    Inode,
    MappedInode,
)
from kernel.vfs.procfs import ProcFs
from kernel.vfs.tmpfs import TmpFs

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_PATH = 0o100, 0o200, 0o1000, 0o200000, 0o10000000
O_ACCMODE, O_WRONLY, O_RDWR = 3, 1, 2
NAME_MAX, PATH_MAX = 255, 4096
WANTED = {0: MAY_READ, O_WRONLY: MAY_WRITE, O_RDWR: MAY_READ | MAY_WRITE}
MFD_ALLOW_SEALING, F_SEAL_SEAL = 2, 1


class FileSystem(Protocol):
    """What can be mounted."""

    name: str
    root: Any

    def close(self) -> None: ...


def split(path: str) -> list[str]:
    """Return a path's components, without empty ones and '.'."""
    return [part for part in path.split("/") if part not in ("", ".")]


class Vfs:
    """The tree of one machine: tmpfs at /, /tmp and /dev/shm, devices at /dev, /proc."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.inodes: dict[int, Inode] = {}
        self.files: dict[int, tuple[File, str]] = {}
        self._prune_at = 1024
        self.mounts: dict[str, FileSystem] = {}
        kernel.vfs = self
        root = TmpFs(kernel)
        root.root.mode = 0o755
        self.mounts["/"] = root
        for path, fs in (
            ("/tmp", TmpFs(kernel)),
            ("/dev", DevFs(kernel)),
            ("/dev/shm", TmpFs(kernel)),
            ("/proc", ProcFs(kernel)),
        ):
            self.mount(path, fs)

    def add_device(self, name: str, inode: Inode) -> None:
        """Give a device a name in /dev."""
        self.mounts["/dev"].root.entries[name] = inode

    # ---- cookies ----

    def remember(self, inode: Inode) -> None:
        """Let the core's cookie lead to this inode."""
        self.inodes[inode.ino] = inode

    def forget(self, inode: Inode) -> None:
        """Drop an inode that has neither a name nor a descriptor, unless a VMA shows it."""
        if inode.ino in self.inodes and inode.ino not in self._mapped_inodes():
            del self.inodes[inode.ino]

    def _mapped_inodes(self) -> set[int]:
        live = self._live_files()
        return {file.inode.ino for cookie, (file, _) in self.files.items() if cookie in live}

    def _live_files(self) -> set[int]:
        room = len(self.files) + 1
        cookies = ffi.new("uint64_t[]", room)
        return set(ffi.unpack(cookies, lib.machine_files(self.kernel.core, cookies, room)))

    def inode_of(self, cookie: int) -> Inode:
        """Return the inode of a mapping's cookie; shared anonymous memory has none of its own."""
        return self.inodes.get(cookie) or self.mounts["/"].root

    def file_of(self, cookie: int) -> File | None:
        """Return the open file of a VMA's cookie, also after its last descriptor is closed."""
        found = self.files.get(cookie)
        return found[0] if found else None

    def register(self, file: File) -> File:
        """Enter an open file; entries whose file is gone are dropped now and then."""
        self.files[file.cookie] = (file, file.path)
        if len(self.files) > self._prune_at:
            live = self._live_files()
            self.files = {c: f for c, f in self.files.items() if c in live}
            used = {file.inode.ino for file, _ in self.files.values()}
            self.inodes = {
                ino: inode
                for ino, inode in self.inodes.items()
                if inode.nlink or inode.open_count or ino in used
            }
            self._prune_at = max(1024, 2 * len(self.files))
        return file

    # ---- mounts ----

    def mount(self, path: str, fs: Any) -> None:
        """Mount a file system on an absolute path; its directory is made if need be."""
        if hasattr(fs, "attach"):
            fs.attach(self.kernel)
        parts = split(path)
        parent = self.mounts["/"].root
        for depth, name in enumerate(parts[:-1]):
            mounted = self.mounts.get("/" + "/".join(parts[: depth + 1]))
            parent = mounted.root if mounted else parent.entries[name]
        parent.entries[parts[-1]] = fs.root
        self.mounts["/" + "/".join(parts)] = fs

    # ---- names ----

    def absolute(self, task: Task, path: str) -> str:
        """Return the normal absolute form of a path. Errors: ENOENT (empty), ENAMETOOLONG."""
        if not path:
            raise SyscallError(errno.ENOENT)
        if len(path) >= PATH_MAX or any(len(part) > NAME_MAX for part in path.split("/")):
            raise SyscallError(errno.ENAMETOOLONG)
        stack: list[str] = []
        for part in split(path if path.startswith("/") else f"{task.cwd}/{path}"):
            if part != "..":
                stack.append(part)
            elif stack:
                stack.pop()
        return "/" + "/".join(stack)

    def _walk(self, task: Task, parts: list[str]) -> Inode:
        inode: Inode = self.mounts["/"].root
        for part in parts:
            if inode.kind != "dir":
                raise SyscallError(errno.ENOTDIR)
            inode.open_check(task, MAY_EXEC)
            inode = inode.lookup(part, task)
        return inode

    def resolve(self, task: Task, path: str) -> Inode:
        """Return the inode of a path. Errors: ENOENT, ENOTDIR, EACCES."""
        inode = self._walk(task, split(self.absolute(task, path)))
        if path.endswith("/") and inode.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        return inode

    def _parent(self, task: Task, path: str) -> tuple[Any, str]:
        """Return a path's directory and its last name. Errors: EISDIR for the root."""
        parts = split(self.absolute(task, path))
        if not parts:
            raise SyscallError(errno.EISDIR)
        parent = self._walk(task, parts[:-1])
        if parent.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        return parent, parts[-1]

    def _writable_parent(self, task: Task, path: str) -> tuple[Any, str]:
        parent, name = self._parent(task, path)
        parent.open_check(task, MAY_WRITE | MAY_EXEC)
        if not hasattr(parent, "create"):
            raise SyscallError(errno.EPERM if parent.kind == "dir" else errno.ENOTDIR)
        return parent, name

    def _exists(self, parent: Inode, name: str, task: Task) -> Inode | None:
        try:
            return parent.lookup(name, task)
        except SyscallError as error:
            if error.errno != errno.ENOENT:
                raise
            return None

    def listdir(self, task: Task, path: str) -> list[str]:
        """Return a directory's names in order. Errors: ENOENT, ENOTDIR, EACCES."""
        inode = self.resolve(task, path)
        inode.open_check(task, MAY_READ)
        return inode.names(task)

    # ---- files ----

    def open(self, task: Task, path: str, flags: int, mode: int = 0o666) -> File:
        """Open a path. Errors: ENOENT, EEXIST, EISDIR, ENOTDIR, EACCES, EROFS, EINVAL."""
        wanted = WANTED.get(flags & O_ACCMODE)
        if wanted is None:
            raise SyscallError(errno.EINVAL)
        inode = self._open_inode(task, path, flags, mode, wanted)
        if flags & O_TRUNC and wanted & MAY_WRITE and inode.kind == "file":
            inode.truncate(0)
        file = File(self.kernel, inode.opened(task), self.absolute(task, path), flags)
        return self.register(file)

    def _open_inode(self, task: Task, path: str, flags: int, mode: int, wanted: int) -> Inode:
        if not flags & O_CREAT:
            inode = self.resolve(task, path)
        else:
            parent, name = self._parent(task, path)
            found = self._exists(parent, name, task)
            if found is None:
                if path.endswith("/"):
                    raise SyscallError(errno.EISDIR)
                parent, name = self._writable_parent(task, path)
                created: Inode = parent.create(name, mode & ~task.umask, task)
                return created
            if flags & O_EXCL:
                raise SyscallError(errno.EEXIST)
            inode = found
        if inode.kind == "dir" and (wanted & MAY_WRITE or flags & O_CREAT):
            raise SyscallError(errno.EISDIR)
        if flags & O_DIRECTORY and inode.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        inode.open_check(task, wanted)
        return inode

    def memfd(self, task: Task, name: str, flags: int) -> File:
        """Return a file without a name, sealable with MFD_ALLOW_SEALING. Errors: ENOSPC."""
        inode = MappedInode(self.kernel, 0o777, task.uid, task.gid)
        inode.nlink = 0
        inode.seals = 0 if flags & MFD_ALLOW_SEALING else F_SEAL_SEAL
        try:
            return self.register(File(self.kernel, inode, f"/memfd:{name}", O_RDWR))
        except SyscallError:
            inode.released()
            raise

    def mkdir(self, task: Task, path: str, mode: int) -> None:
        """Make a directory. Errors: EEXIST, ENOENT, EACCES, EROFS."""
        if self.absolute(task, path) == "/":
            raise SyscallError(errno.EEXIST)
        parent, name = self._parent(task, path)
        if self._exists(parent, name, task):
            raise SyscallError(errno.EEXIST)
        parent, name = self._writable_parent(task, path)
        parent.mkdir(name, mode & ~task.umask, task)

    def unlink(self, task: Task, path: str) -> None:
        """Remove a name; the file lives on while something uses it. Errors: EISDIR, EACCES."""
        parent, name = self._writable_parent(task, path)
        inode = parent.lookup(name, task)
        if inode.kind == "dir":
            raise SyscallError(errno.EISDIR)
        self._check_sticky(task, parent, inode)
        parent.unlink(name)

    def rmdir(self, task: Task, path: str) -> None:
        """Remove an empty directory. Errors: ENOTDIR, ENOTEMPTY, EBUSY (a mount), EACCES."""
        parent, name = self._writable_parent(task, path)
        inode = parent.lookup(name, task)
        if inode.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        if any(fs.root is inode for fs in self.mounts.values()):
            raise SyscallError(errno.EBUSY)
        self._check_sticky(task, parent, inode)
        parent.rmdir(name)

    def _check_sticky(self, task: Task, parent: Inode, inode: Inode) -> None:
        owner = task.uid in (inode.uid, parent.uid) or task.capable("CAP_FOWNER")
        if parent.mode & 0o1000 and not owner:
            raise SyscallError(errno.EPERM)

    def rename(self, task: Task, old: str, new: str) -> None:
        """Move a name within one file system. Errors: ENOENT, EXDEV, EISDIR, ENOTDIR, ENOTEMPTY."""
        source, name = self._writable_parent(task, old)
        target, new_name = self._writable_parent(task, new)
        inode = source.lookup(name, task)
        if self._file_system(old, task) != self._file_system(new, task):
            raise SyscallError(errno.EXDEV)
        self._check_sticky(task, source, inode)
        if self.absolute(task, new).startswith(self.absolute(task, old) + "/"):
            raise SyscallError(errno.EINVAL)  # a directory into itself
        if any(fs.root is inode for fs in self.mounts.values()):
            raise SyscallError(errno.EBUSY)
        replaced = self._exists(target, new_name, task)
        if replaced is inode:
            return
        if replaced is not None:
            self._check_sticky(task, target, replaced)
            if replaced.kind == "dir" and inode.kind != "dir":
                raise SyscallError(errno.EISDIR)
            if replaced.kind != "dir" and inode.kind == "dir":
                raise SyscallError(errno.ENOTDIR)
            remove = target.rmdir if replaced.kind == "dir" else target.unlink
            remove(new_name)
        source.move(name, target, new_name)
        prefix = self.absolute(task, old)
        for file, _ in self.files.values():
            if file.inode is inode and file.path == prefix:
                file.path = self.absolute(task, new)

    def _file_system(self, path: str, task: Task) -> str:
        full = self.absolute(task, path)
        below = [m for m in self.mounts if m == "/" or full.startswith(m + "/")]
        return max(below, key=len)

    # ---- shutdown ----

    def sync(self) -> None:
        """Write every dirty page back; errors stay with their files."""
        for inode in list(self.inodes.values()):
            inode.writeback_quietly(0, (1 << 52) - 1)

    def close(self) -> None:
        """Write back and drop everything; every task has ended before."""
        for fs in self.mounts.values():
            fs.close()
        self.inodes.clear()
        self.files.clear()
