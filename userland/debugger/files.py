"""Host I/O of gdb's protocol (vFile): the machine's files, read only, as the debugger's own.

Owns the descriptors of it. A file is read whole when it is opened, of a copy of the machine, so
that nothing is brought into the machine's page cache. Source: "Host I/O Packets" of gdb's manual.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.userland.debugger.packets import PACKET_BYTES, escape

if TYPE_CHECKING:
    from pkern.userland.debugger.target import Target

# struct stat of the protocol: device, inode, mode, links, uid, gid, rdev, size, block size, blocks,
# three times; big endian.
STAT = struct.Struct(">7I3Q3I")
BLOCK_BYTES = 4096
OTHER = 9999  # FILEIO_EUNKNOWN
KNOWN = frozenset(
    (
        errno.EPERM, errno.ENOENT, errno.EINTR, errno.EBADF, errno.EACCES, errno.EFAULT,
        errno.EBUSY, errno.EEXIST, errno.ENODEV, errno.ENOTDIR, errno.EISDIR, errno.EINVAL,
        errno.ENFILE, errno.EMFILE, errno.EFBIG, errno.ENOSPC, errno.ESPIPE, errno.EROFS,
    )
)  # fmt: skip
NAME_TOO_LONG = 91  # FILEIO_ENAMETOOLONG


class Files:
    """The open files of a debugger."""

    def __init__(self, target: Target | None) -> None:
        self._target = target
        self._open: dict[int, bytes] = {}
        self._next = 3

    def alone(self) -> Files:
        """Return the same without the machine, for another process."""
        made = Files(None)
        made._open, made._next = self._open, self._next
        return made

    def of(self, target: Target) -> Files:
        """Return the same, of a machine."""
        made = Files(target)
        made._open, made._next = self._open, self._next
        return made

    def answer(self, request: str) -> bytes:
        """Return the answer to what stands behind vFile: and never raise for what it asks."""
        name, _, words = request.partition(":")
        operation = OPERATIONS.get(name)
        if operation is None:
            return b""
        try:
            return operation(self, *words.split(","))
        except SyscallError as error:
            return b"F-1,%x" % _number(error.number)
        except (KeyError, TypeError, ValueError):
            return b"F-1,%x" % errno.EINVAL

    @property
    def _machine(self) -> Target:
        assert self._target is not None
        return self._target

    def _setfs(self, pid: str) -> bytes:
        return b"F0"  # there is one name space

    def _open_file(self, name: str, flags: str, mode: str) -> bytes:
        if int(flags, 16) & os.O_ACCMODE != os.O_RDONLY:
            raise SyscallError(errno.EROFS)
        data = self._machine.file(_text(name))
        number, self._next = self._next, self._next + 1
        self._open[number] = data
        return b"F%x" % number

    def _data(self, number: str) -> bytes:
        data = self._open.get(int(number, 16))
        if data is None:
            raise SyscallError(errno.EBADF)
        return data

    def _close(self, number: str) -> bytes:
        self._data(number)
        del self._open[int(number, 16)]
        return b"F0"

    def _pread(self, number: str, count: str, offset: str) -> bytes:
        at, most = int(offset, 16), min(int(count, 16), PACKET_BYTES // 2)
        part = self._data(number)[at : at + most]
        return b"F%x;%s" % (len(part), escape(part))

    def _fstat(self, number: str) -> bytes:
        size = len(self._data(number))
        values = (0, 0, stat.S_IFREG | 0o444, 1, 0, 0, 0, size, BLOCK_BYTES, -(-size // 512))
        packed = STAT.pack(*(value & 0xFFFFFFFF for value in values), 0, 0, 0)
        return b"F%x;%s" % (len(packed), escape(packed))

    def _readlink(self, name: str) -> bytes:
        text = os.fsencode(self._machine.link(_text(name)))
        return b"F%x;%s" % (len(text), escape(text))

    def _refuse(self, *_: str) -> bytes:
        raise SyscallError(errno.EROFS)


OPERATIONS: dict[str, Callable[..., bytes]] = {
    "setfs": Files._setfs,
    "open": Files._open_file,
    "close": Files._close,
    "pread": Files._pread,
    "fstat": Files._fstat,
    "readlink": Files._readlink,
    "pwrite": Files._refuse,
    "unlink": Files._refuse,
}


def _text(name: str) -> str:
    return os.fsdecode(bytes.fromhex(name))


def _number(error: int) -> int:
    if error == errno.ENAMETOOLONG:
        return NAME_TOO_LONG
    return error if error in KNOWN else OTHER
