"""The virtual file system: mounts, open files, and the tables from cookies to inodes and files.

walk.py resolves paths, names.py makes and removes entries. The core knows inodes and open files by
cookie only; the two tables here say which they are.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.lean import cached_property, nullcontext
from pkern.kernel.log import KERN_INFO
from pkern.kernel.namespaces.base import MNT
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import names
from pkern.kernel.vfs.file import O_APPEND, O_DIRECT, O_PATH, File
from pkern.kernel.vfs.fs.devfs import DevFs
from pkern.kernel.vfs.fs.tmpfs import TmpFs
from pkern.kernel.vfs.inode import (
    F_SEAL_EXEC,
    F_SEAL_SEAL,
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    ON_DISK,
    Inode,
    MappedInode,
)
from pkern.kernel.vfs.mounts import NODEV, RDONLY, FsFlags, Mount, MountTable, Path, top
from pkern.kernel.vfs.walk import DOTS, FREELY, Last, Place, Rules, place_text, walk
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.vfs.inotify import Notify
    from pkern.kernel.vfs.leases import Lease, Leases
    from pkern.kernel.vfs.locks import Locks
    from pkern.kernel.vfs.machine import Caller, Machine
    from pkern.kernel.vfs.pipe import PipeLimits


O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW = 0o100, 0o200, 0o1000, 0o200000, 0o400000
O_NOATIME, O_CLOEXEC, O_TMPFILE = 0o1000000, 0o2000000, 0o20200000
IN_MODIFY, IN_OPEN = 2, 32  # of inotify(7)
O_LARGEFILE = 0o100000  # which every open has on x86-64
O_ACCMODE, O_WRONLY, O_RDWR = 3, 1, 2
WANTED = {0: MAY_READ, O_WRONLY: MAY_WRITE, O_RDWR: MAY_READ | MAY_WRITE, 3: MAY_READ | MAY_WRITE}
MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL = 2, 4, 8
LEAST_FILES = 8192  # that may be open in all, however little RAM there is
WATCH_BYTES = 1312  # what one costs Linux 6.18: 1 % of memory may be spent on them


class Found(NamedTuple):
    """What a path has led to, to be opened: it may sleep, and stays that file meanwhile."""

    place: Place
    inode: Inode
    path: str  # for /proc


class Counter:
    """Numbers that are never used twice: inode numbers and cookies of open files."""

    def __init__(self, last: int = 0) -> None:
        self._last = last

    def take(self) -> int:
        """Return the next number, from 1."""
        self._last += 1
        return self._last


class InotifyLimits:
    """fs.inotify.*, and what there is: instances and watches by user, and in all. ram: bytes.

    dir_notify_enable: whether dnotify may watch, too.
    """

    def __init__(self, ram: int) -> None:
        self.max_queued_events = 16384
        self.max_user_instances = 128
        self.max_user_watches = min(max(ram // 100 // WATCH_BYTES, 8192), 1 << 20)
        self.instances: dict[int, int] = {}
        self.watches: dict[int, int] = {}
        self.marks = 0
        self.dir_notify_enable = 1
        self.last_cookie = 0


def open_flags(flags: int) -> int:
    """Return the flags of open that count. Errors: EINVAL for those that contradict."""
    if flags & O_PATH:
        return flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    unnamed = flags & O_TMPFILE & ~O_DIRECTORY
    if (flags & O_DIRECTORY and flags & O_CREAT) or (unnamed and not flags & O_DIRECTORY):
        raise SyscallError(errno.EINVAL)
    if unnamed and not WANTED[flags & O_ACCMODE] & MAY_WRITE:
        raise SyscallError(errno.EINVAL)
    return flags | O_LARGEFILE


class EndsLate:
    """While it is entered open files that end do so afterwards, the last one first.

    So does Linux, on the way back to the program, with all but what close(2) closes.
    """

    def __init__(self) -> None:
        self.waits = 0  # how many have entered
        self.ending: list[tuple[File, int]] = []  # and the VMAs that show it still

    def __enter__(self) -> None:
        self.waits += 1

    def __exit__(self, *failed: object) -> None:
        self.waits -= 1
        if self.ending and not self.waits:
            ending, self.ending = self.ending, []
            for file, nr_vmas in reversed(ending):
                file.end(nr_vmas)


class Vfs:
    """The tree of one machine: tmpfs at /, /tmp and /dev/shm, devices at /dev."""

    def __init__(self, kernel: Machine, drivers: dict[int, Callable[[Any, int], Inode]]) -> None:
        self.kernel = kernel
        self.drivers = drivers  # of devices that are not the file systems' own, by number
        self.inodes: dict[int, Inode] = {}
        self.files: dict[int, tuple[File, str]] = {}
        self.numbers = Counter()
        self.leased: dict[int, list[Lease]] = {}  # by inode; nobody's are not there
        self.inotify = InotifyLimits(kernel.memory.ram)
        self.notify: Notify | None = None  # who is told; None while nobody watches
        self.mapped_only: dict[int, File] = {}  # by cookie: without a descriptor, and held
        self.ends_late = EndsLate()
        self._prune_at = 1024
        self.table = MountTable(self.is_in_use, self.everywhere)
        kernel.nsproxy.mnt.table = self.table
        self.file_max = max(LEAST_FILES, kernel.memory.ram // 10240)  # a tenth of RAM in KiB

    def boot(self) -> None:
        """Mount what a machine has from the beginning; it knows this table by now."""
        kernel = self.kernel
        root = TmpFs(kernel)
        root.root.mode = 0o755
        mount = self.table.new(root)
        mount.namespace = kernel.nsproxy.mnt
        kernel.nsproxy.mnt.mounts.append(mount)
        self.devices = DevFs(kernel)
        for path, fs in (
            ("/tmp", TmpFs(kernel)),
            ("/dev", self.devices),
            ("/dev/shm", TmpFs(kernel)),
        ):
            self.mount(path, fs)

    def add_device(self, name: str, inode: Inode) -> None:
        """Give a device a name in /dev."""
        devices = self.devices.root
        inode.place(devices, name)
        devices.entries[name] = inode

    @property
    def root(self) -> Inode:
        """The root directory."""
        return self.top.inode

    @property
    def top(self) -> Path:
        """The root directory, as a place in the first namespace."""
        first = self.mounts[0]
        return Path(first, first.root)

    @cached_property
    def pipes(self) -> PipeLimits:
        """What pipes may hold, made for the first of them."""
        made: PipeLimits = load("pkern.kernel.vfs.pipe").PipeLimits()
        return made

    @cached_property
    def locks(self) -> Locks:
        """Who holds which lock on a file: made when one is first asked for."""
        made: Locks = load("pkern.kernel.vfs.locks").Locks()
        return made

    @property
    def locked(self) -> bool:
        """Whether locks have been asked for; else there is none."""
        return "locks" in vars(self)

    @cached_property
    def leases(self) -> Leases:
        """Who holds which lease, and what is done with them: made when it is first asked for."""
        made: Leases = load("pkern.kernel.vfs.leases").Leases(self.kernel)
        return made

    # ---- cookies ----

    def remember(self, inode: Inode) -> None:
        """Let the core's cookie lead to this inode."""
        self.inodes[inode.ino] = inode

    def forget(self, inode: Inode) -> None:
        """Drop an inode that has neither a name nor a descriptor, and that no VMA shows."""
        self.inodes.pop(inode.ino, None)

    def _live_files(self) -> set[int]:
        room = len(self.files) + 1
        cookies = ffi.new("uint64_t[]", room)
        return set(ffi.unpack(cookies, lib.machine_files(self.kernel.memory.core, cookies, room)))

    def inode_of(self, cookie: int) -> Inode:
        """Return the inode of a mapping's cookie; shared anonymous memory has none of its own."""
        return self.inodes.get(cookie) or self.root

    def file_of(self, cookie: int) -> File | None:
        """Return the open file of a VMA's cookie, also after its last descriptor is closed."""
        found = self.files.get(cookie)
        return found[0] if found else None

    def register(self, file: File) -> File:
        """Enter an open file; entries whose file is gone are dropped now and then."""
        self.files[file.cookie] = (file, file.path)
        if len(self.files) > self._prune_at:
            live = self._live_files()
            self.files = {
                cookie: entry
                for cookie, entry in self.files.items()
                if cookie in live or entry[0].descriptors > 0 or entry[0] is file
            }
            used = {file.inode.ino for file, _ in self.files.values()}
            self.inodes = {
                ino: inode
                for ino, inode in self.inodes.items()
                if inode.nlink or inode.open_count or ino in used
            }
            self._prune_at = max(1024, 2 * len(self.files))
        return file

    def closed(self, file: File, nr_vmas: int) -> None:
        """Forget an open file whose last descriptor went, unless VMAs still show it."""
        if self.notify is not None:
            self.notify.closed(file)
        if not nr_vmas:
            self.files.pop(file.cookie, None)

    def keep_mapped(self, file: File, handle: Any) -> None:
        """Let a file without a descriptor hold what it holds until the last mapping of it goes."""
        self.mapped_only[file.cookie] = file
        lib.file_tell_end(handle)

    def end_unmapped(self) -> None:
        """End the files whose last mapping has gone, the last one first."""
        core = self.kernel.memory.core
        cookies = list(iter(lambda: int(lib.machine_take_ended(core)), 0))
        with self.ends_late if cookies else nullcontext():
            for cookie in reversed(cookies):
                file = self.mapped_only.pop(cookie)
                self.end(file, 0)
                load("pkern.kernel.vfs.readiness").wake(file.inode)

    def end(self, file: File, nr_vmas: int) -> None:
        """End an open file, now or when those end that wait. nr_vmas: that show it still."""
        if self.ends_late.waits:
            self.ends_late.ending.append((file, nr_vmas))
        else:
            file.end(nr_vmas)

    def open_files(self) -> int:
        """Return how many files are open, by a descriptor or in a mapping."""
        return len(self.used_files())

    def used_files(self) -> list[File]:
        """Return the files that are open, by a descriptor or in a mapping."""
        live = self._live_files()
        files = self.files.items()
        return [file for cookie, (file, _) in files if file.descriptors > 0 or cookie in live]

    @property
    def file_nr(self) -> str:
        """What /proc/sys/fs/file-nr shows."""
        return f"{self.open_files()}\t0\t{self.file_max}"

    def need_room(self, task: Caller) -> None:
        """Refuse a task one more open file beyond fs.file-max. Errors: ENFILE."""
        most = self.file_max
        if len(self.files) < most or task.capable("CAP_SYS_ADMIN"):
            return
        if self.open_files() >= most:
            self.kernel.log.write(KERN_INFO, f"VFS: file-max limit {most} reached")
            raise SyscallError(errno.ENFILE)

    # ---- mounts ----

    @property
    def mounts(self) -> list[Mount]:
        """What is mounted in the first namespace."""
        return self.kernel.nsproxy.mnt.mounts

    def everywhere(self) -> list[Mount]:
        """Return what is mounted in all namespaces."""
        return [mount for one in self.kernel.namespaces.of_kind(MNT) for mount in one.mounts]

    def mount(self, path: str, fs: Any) -> None:
        """Mount a file system on an absolute path; the last directory is made if need be."""
        if hasattr(fs, "attach"):
            fs.attach(self.kernel)
        here = self.top
        for name in (part for part in path.split("/") if part):
            directory: Any = here.inode
            if name not in directory.entries:
                names.attach(directory, name, TmpFs.directory_of(directory, 0o755))
            here = top(Path(here.mount, directory.entries[name]))
        self.mount_on(here, fs)

    def mount_on(self, where: Path, fs: Any, flags: int = 0) -> Mount:
        """Cover a place with a file system. flags: MS_* of a mount. Errors: as its attach()."""
        made = self.table.new(fs, flags)
        self.table.attach(made, where)
        return made

    def set_root(self, fs: Any) -> None:
        """Show fs at / from now on; what is mounted in the old root is mounted in the new one.

        Tasks are in the new one, as after pivot_root(2): at its top where their directory is gone.
        """
        old = self.mounts[0]
        fs.attach(self.kernel)
        new = self.table.new(fs)
        new.namespace = old.namespace
        for covers, mount in list(old.on.items()):
            self.table.lift(mount)
            names.attach(fs.root, covers.name, TmpFs.directory_of(fs.root, 0o755))
            mount.over, mount.covers = new, fs.root.entries[covers.name]
            new.on[mount.covers] = mount
            mount.covers.mounted += 1
        self.mounts[0], old.namespace = new, None
        for task in self.kernel.tasks.values():
            task.fs.give_up(old, Path(new, fs.root))
        self.table.take(old)

    def is_in_use(self, mount: Mount) -> bool:
        """Tell whether a task, or a file that is open or mapped, is in a mount."""
        starts = [d for task in self.kernel.tasks.values() for d in (task.fs.root, task.fs.pwd)]
        return any(path.mount is mount for path in starts) or any(
            file.mount is mount for file in self.used_files()
        )

    def has_tasks_in(self, inode: Inode) -> bool:
        """Tell whether a directory is some task's own, or its root."""
        tasks = self.kernel.tasks.values() if inode.kind == "dir" else ()
        return any(inode in (task.fs.pwd.inode, task.fs.root.inode) for task in tasks)

    def left(self, inode: Inode) -> None:
        """Note that a task stands no longer in a directory that somebody watches."""
        if inode.marks and inode.nlink <= 0 and not inode.open_count:
            inode.tell_end()

    def set_fs_flags(self, dev: int, said: FsFlags) -> None:
        """Change flags of a file system.

        Errors: EBUSY (nothing may change it any more, and a file is open for writing).
        """
        new = FsFlags(self.table.flags_of(dev)).saying(*said).flags
        if new & RDONLY and dev not in self.read_only:
            self._need_no_writers(lambda file: file.inode.dev == dev)
        (self.read_only.add if new & RDONLY else self.read_only.discard)(dev)
        self.table.other_flags[dev] = new & ~RDONLY

    def need_no_writers(self, mount: Mount) -> None:
        """Refuse to make a mount read-only through which files are written. Errors: EBUSY."""
        self._need_no_writers(lambda file: file.mount is mount)

    def _need_no_writers(self, concerns: Callable[[File], bool]) -> None:
        for file in self.used_files():
            if concerns(file) and file.access & MAY_WRITE:
                raise SyscallError(errno.EBUSY)

    @property
    def read_only(self) -> set[int]:
        """St_dev of file systems that nothing may change."""
        return self.table.read_only

    def file_system(self, inode: Inode) -> Any:
        """Return the mounted file system that holds an inode, or None (memfd, pipes)."""
        return self.table.file_systems.get(inode.dev)

    # ---- names ----

    def walk(
        self, task: Caller, path: str, last: Last = Last.FOLLOW, start: Path | None = None
    ) -> Place:
        """Return the place of a path. start: where a relative one begins; None: the cwd."""
        return walk(task, path, last, start)

    def resolve(
        self, task: Caller, path: str, last: Last = Last.FOLLOW, start: Path | None = None
    ) -> Inode:
        """Return the inode of a path. Errors: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG."""
        return walk(task, path, last, start).existing()

    def absolute(self, task: Caller, path: str, start: Path | None = None) -> str:
        """Return the absolute path that a path leads to. Errors: as resolve."""
        return self.text(task, walk(task, path, Last.FOLLOW, start))

    def text(self, task: Caller, place: Place) -> str:
        """Return the absolute path of a place."""
        return place_text(task, place)

    def listdir(self, task: Caller, path: str) -> list[str]:
        """Return a directory's names in order. Errors: ENOENT, ENOTDIR, EACCES."""
        inode = self.resolve(task, path)
        if inode.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        inode.open_check(task, MAY_READ)
        return inode.names(task)

    # ---- files ----

    def open(
        self,
        task: Caller,
        path: str,
        flags: int,
        mode: int = 0o666,
        start: Path | None = None,
        rules: Rules = FREELY,
    ) -> File:
        """Open a path.

        Errors: ENFILE, ENOENT, EEXIST, EISDIR, ENOTDIR, EACCES, EROFS, ELOOP, EINVAL, EXDEV.
        """
        self.need_room(task)
        flags = open_flags(flags)
        if flags & O_TMPFILE == O_TMPFILE:
            place = walk(task, path, Last.FOLLOW, start, rules)
            return self._open_unnamed(task, place, flags, mode)
        place = walk(task, path, self._open_last(flags), start, rules)
        inode = self._open_inode(task, place, flags, mode)
        return self.open_found(task, Found(place, inode, place_text(task, place)), flags)

    def open_found(self, task: Caller, found: Found, flags: int) -> File:
        """Open what a path has led to. Errors: ENFILE, those of the kind's file_opened."""
        flags, (place, inode, text) = open_flags(flags), found
        mount = place.mount if place.inode is None else place.on
        try:
            file = self.open_inode(task, inode, text, flags, mount)
        except WouldBlock as wait:
            wait.progress = found  # by whatever name it is known then
            raise
        if place.inode is None:  # there was no such name, and O_CREAT
            file.created = True
        if place.jumped:
            file.home = inode.seen_in if inode.kind != "dir" else None
        elif place.on is not place.mount and place.inode is not None:
            file.home = (inode.parent, inode.name) if inode.parent is not None else None
        elif place.name not in DOTS:
            file.home = place.directory, place.name
        self.tell_open(file)
        cut = flags & O_TRUNC and place.inode is not None and inode.kind == "file"
        if cut and self.notify is not None:  # the first event may have ended the last watch
            self.notify.used(file, IN_MODIFY)
        return file

    def tell_open(self, file: File) -> None:
        """Let those who watch know that a file was opened."""
        if self.notify is not None:
            self.notify.used(file, IN_OPEN)

    def open_inode(
        self, task: Caller, inode: Inode, path: str, flags: int, mount: Mount | None = None
    ) -> File:
        """Return an open file of an inode that may be opened; path is for /proc.

        With O_PATH it only names a place: nothing is opened there. Errors: EINVAL (O_DIRECT of a
        kind that has it not), and those of the kind's file_opened.
        """
        if flags & O_DIRECT and not inode.can_direct:
            raise SyscallError(errno.EINVAL)
        opened = inode if flags & O_PATH else inode.opened(task)
        return self.register(File(self.kernel, opened, path, flags, task, mount))

    def _open_last(self, flags: int) -> Last:
        if flags & O_CREAT and flags & O_EXCL:
            return Last.ENTRY
        if flags & O_CREAT:
            return Last.CREATE_KEEP if flags & O_NOFOLLOW else Last.CREATE
        return Last.KEEP if flags & O_NOFOLLOW else Last.FOLLOW

    def _open_inode(self, task: Caller, place: Place, flags: int, mode: int) -> Inode:
        wanted = WANTED[flags & O_ACCMODE]
        if flags & O_CREAT:
            if place.slash and place.name not in DOTS:
                raise SyscallError(errno.EISDIR)
            if place.inode is None:
                names.need_file_creatable(task, place)
                created: Any = place.directory
                return names.made(place, created.create(place.name, self._mode(task, mode), task))
            if flags & O_EXCL:
                raise SyscallError(errno.EEXIST)
        inode = place.existing()
        if flags & O_DIRECTORY and inode.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        if flags & O_PATH:
            return inode
        self._may_open(task, place, inode, flags, wanted)
        if self.leased:
            self.leases.give_way(inode, wanted, flags)
        if flags & O_TRUNC and inode.kind == "file":
            names.cut(task, inode, 0)
        if wanted & MAY_WRITE:
            names.prepare_change(task, inode)
        return inode

    def _may_open(self, task: Caller, place: Place, inode: Inode, flags: int, wanted: int) -> None:
        if inode.kind == "link":
            raise SyscallError(errno.ELOOP)
        if flags & O_TRUNC:
            wanted |= MAY_WRITE
        mounted = place.on.flags if place.on is not None else 0
        if mounted & NODEV and inode.kind in ("chr", "blk"):
            raise SyscallError(errno.EACCES)
        if inode.kind == "dir" and (wanted & MAY_WRITE or flags & O_CREAT):
            raise SyscallError(errno.EISDIR)
        inode.open_check(task, wanted)
        if wanted & MAY_WRITE and (flags & O_TRUNC or not flags & O_APPEND):
            inode.need_shrinkable()
        if wanted & MAY_WRITE and mounted & RDONLY and inode.kind in ON_DISK:
            raise SyscallError(errno.EROFS)
        if wanted & MAY_WRITE:
            inode.need_not_running()
        if flags & O_NOATIME and not inode.owned_by(task):
            raise SyscallError(errno.EPERM)

    def _mode(self, task: Caller, mode: int) -> int:
        return mode & 0o7777 & ~task.umask

    def _open_unnamed(self, task: Caller, place: Place, flags: int, mode: int) -> File:
        directory: Any = place.existing()
        if directory.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        if place.on is not None and place.on.flags & RDONLY:
            raise SyscallError(errno.EROFS)
        directory.open_check(task, MAY_WRITE | MAY_EXEC)
        if not hasattr(directory, "unnamed"):
            raise SyscallError(errno.EOPNOTSUPP)
        inode = directory.unnamed(self._mode(task, mode), task)
        try:
            name = f"#{inode.ino}"
            path = f"{self.text(task, place)}/{name}"
            file = self.open_inode(task, inode, path, flags, place.on)
        except BaseException:
            inode.released()
            raise
        file.home = directory, name  # as Linux tells who watches, who finds no such name
        self.tell_open(file)
        return file

    def memfd(self, task: Caller, name: str, flags: int) -> File:
        """Return a file without a name, sealable with MFD_ALLOW_SEALING or MFD_NOEXEC_SEAL.

        Errors: ENOSPC.
        """
        huge = flags & MFD_HUGETLB
        kind = load("pkern.kernel.vfs.fs.hugetlbfs").kind_asked(flags) if huge else MappedInode
        mode = 0o666 if flags & MFD_NOEXEC_SEAL else 0o777
        inode = kind(self.kernel, mode, task.uid, task.gid)
        inode.nlink = 0
        inode.seals = 0 if flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) else F_SEAL_SEAL
        inode.seals |= F_SEAL_EXEC if flags & MFD_NOEXEC_SEAL else 0
        try:
            way = O_RDWR | O_LARGEFILE
            file = File(self.kernel, inode, f"/memfd:{name}", way, task)
            file.count_as_reader()  # so that it can be run
            return self.register(file)
        except BaseException:
            inode.released()
            raise

    def secretmem(self, task: Caller) -> File:
        """Return a file of memory that only those who map it see."""
        from pkern.kernel.vfs.anon.secretmem import SecretInode  # for those who ask

        inode = SecretInode(self.kernel, task.uid, task.gid)
        try:
            way = O_RDWR | O_LARGEFILE
            return self.register(File(self.kernel, inode, "/secretmem (deleted)", way, task))
        except BaseException:
            inode.released()
            raise

    def renamed(self, inode: Inode, old: Place, new: Place, was: str, now: str) -> None:
        """Let open files of an inode that was moved, or below it, show their new path.

        old, new: where it stood and stands; was, now: the same as text.
        """
        for file, _ in self.files.values():
            if file.inode is inode and file.home == (old.directory, old.name):
                file.home = new.directory, new.name
                file.path = now
            elif file.path.startswith(was + "/"):
                file.path = now + file.path[len(was) :]

    # ---- shutdown ----

    def sync(self) -> None:
        """Write every dirty page back; errors stay with their files."""
        for inode in list(self.inodes.values()):
            inode.writeback(0, (1 << 52) - 1)

    def close(self) -> None:
        """Write back and drop everything; every task has ended before."""
        self.table.close()
        self.inodes.clear()
        self.files.clear()
