"""Bundles: one send or receive by many provided buffers (IORING_RECVSEND_BUNDLE).

Owns how far one is (Bundle, kept with its request), and the end of receives that go on. As on Linux
a send goes on, with a completion of its own, as long as the group has buffers; a receive that has
filled all that it took and knows of more takes once more, for the same completion.
Source: io_uring_enter(2), Linux 6.18 io_uring/net.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.socket import SOCK_STREAM
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.files.read_write import bytes_of
from pkern.syscalls.io_uring import talking
from pkern.syscalls.io_uring.buffers import INT_MAX, Pieces
from pkern.syscalls.io_uring.requests import HELD, SELECT, Request
from pkern.syscalls.io_uring.talking import BUNDLE, RECV_MULTI
from pkern.syscalls.net.transfer import socket_of

if TYPE_CHECKING:
    from pkern.syscalls.files.read_write import Buffers


class Bundle:
    """How far one is. length: bytes that are wanted, 0: as many as there are.

    left: what one that goes on has yet to receive; None: without an end. most: buffers that it
    takes where it knows of no length. unread: bytes that a stream has besides, by the last receive.
    """

    def __init__(self, length: int, left: int | None) -> None:
        self.length, self.left = length, left
        self.most = 1
        self.unread = 0
        self.sending: Buffers | None = None  # that wait for the socket
        self.flags = 0  # what a completion says of the first of these
        self.receiving: Pieces | None = None  # that have some of what is to come
        self.reached_end = self.has_waited = 0


def _bundle(request: Request) -> Bundle:
    if request.bundle is None:
        request.bundle = Bundle(request.entry.length, request.entry.file_index or None)
    bundle: Bundle = request.bundle
    return bundle


def _pick(request: Request, wanted: int) -> Pieces:
    """Return buffers, which stay until they are taken. Errors: ENOBUFS, EFAULT."""
    bundle, group = _bundle(request), request.entry.buf_index
    pieces = request.ring.groups.several(request.task, group, wanted, bundle.most)
    bundle.most = max(bundle.most, len(pieces.buffers))
    bundle.reached_end = pieces.reached_end
    return pieces


# ---- sending ----


def send(request: Request) -> int:
    """As talking.send, or from as many buffers as the group has."""
    if not request.entry.ioprio & BUNDLE:
        return talking.send(request)
    bundle = _bundle(request)
    if bundle.sending is None:
        bundle.sending = _outgoing(request, bundle)
    request.marks |= bundle.flags
    try:
        sent = talking.send_from(request, bundle.sending)
    except WouldBlock:
        bundle.has_waited = 1
        raise
    bundle.sending, bundle.length = None, 0
    return sent


def _outgoing(request: Request, bundle: Bundle) -> Buffers:
    """Return what is to be sent: of provided buffers, which are used up by that."""
    bundle.flags = 0
    if not request.entry.flags & SELECT:
        return [(request.entry.addr, bundle.length)]
    pieces = _pick(request, bundle.length or INT_MAX)
    bundle.flags = pieces.take(bytes_of(pieces.vectors()))
    return pieces.vectors()


def sends_on(request: Request, result: int) -> bool:
    """Tell whether more is sent: by a bundle that has not had to wait, while there are buffers."""
    if not request.entry.ioprio & BUNDLE or result <= 0:
        return False
    bundle = _bundle(request)
    return not bundle.reached_end and not bundle.has_waited


# ---- receiving ----


def recv(request: Request) -> int:
    """As talking.recv, or into as many buffers as are known to be needed."""
    entry = request.entry
    if not entry.ioprio & BUNDLE or not entry.flags & SELECT:
        return _counted(request, talking.recv(request))
    bundle = _bundle(request)
    pieces = bundle.receiving or _incoming(request, bundle)
    try:
        nbytes = _receive(request, pieces)
    except WouldBlock:
        if request.rest is not None and bundle.receiving is None:  # they have some of it
            bundle.receiving = pieces
            pieces.take(request.rest.done)  # Linux, too, does not take what is filled later
        raise
    if not nbytes:
        return 0
    request.marks |= pieces.buffers[0].flags if bundle.receiving else pieces.take(nbytes)
    bundle.receiving = None
    _counted(request, nbytes)
    if _takes_more(request, pieces, nbytes):
        nbytes += _receive_rest(request, bundle.unread)
    return nbytes


def _incoming(request: Request, bundle: Bundle) -> Pieces:
    wanted = bundle.length or (bundle.unread if bundle.unread > 1 else 0)
    return _pick(request, min(filter(None, (wanted, bundle.left)), default=0))


def _receive(request: Request, pieces: Pieces) -> int:
    """Receive into buffers; note how much a stream has besides."""
    nbytes = talking.receive_into(request, pieces.vectors())
    _, socket = socket_of(request.task, HELD)
    known = socket.socket_type == SOCK_STREAM
    _bundle(request).unread = socket.available if known else 0
    return nbytes


def _takes_more(request: Request, pieces: Pieces, nbytes: int) -> bool:
    """Tell whether a receive that was given all it asked for asks once more."""
    bundle = _bundle(request)
    if bundle.reached_end or bundle.left == 0 or pieces.is_cut or bundle.unread <= 1:
        return False
    if request.entry.ioprio & RECV_MULTI and bundle.length and nbytes >= bundle.length:
        return False
    return nbytes == bytes_of(pieces.vectors())


def _receive_rest(request: Request, wanted: int) -> int:
    """Receive what is known to wait behind what has come; an error is the next receive's."""
    request.marks &= ~talking.NONEMPTY
    try:
        pieces = _pick(request, wanted)
        nbytes = _receive(request, pieces)
    except SyscallError:
        return 0
    pieces.take(nbytes)
    return nbytes


def _counted(request: Request, nbytes: int) -> int:
    """Note what one that goes on has received of all that it is to. Return nbytes."""
    bundle = _bundle(request)
    if bundle.left is not None and nbytes > 0:
        bundle.left = max(0, bundle.left - nbytes)
    return nbytes


def receives_on(request: Request, result: int) -> bool:
    """Tell whether more is received: not behind its end, nor by a bundle without buffers."""
    bundle = _bundle(request)
    if bundle.left == 0 or bundle.reached_end:
        return False
    return talking.receives_on(request, result)
