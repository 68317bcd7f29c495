"""Sockets that hold each other in messages nobody can receive any more.

A socket sent through itself, or two through each other, is open as long as the message waits; once
no task has a descriptor nobody can take it. Such sockets are found from those that tasks do hold:
what these can receive lives, in any depth; the queues of the others are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.net.socket import Socket

if TYPE_CHECKING:
    from pkern.kernel.net.common import Common


def _flying(common: Common) -> dict[Socket, None]:
    """Return the sockets that nothing but messages holds."""
    held: dict[Socket, None] = {}
    for file, users in common.in_flight.items():
        inode = file.inode
        if isinstance(inode, Socket) and file.descriptors == len(users):
            held[inode] = None
    return held


def _received_from(socket: Socket) -> list[Socket]:
    """Return the sockets whose files can be received from one, or from who waits to be accepted."""
    queues = [socket, *socket.embryos]
    files = [file for one in queues for packet in one.queue for file in packet.files]
    return [file.inode for file in files if isinstance(file.inode, Socket)]


def collect(common: Common) -> None:
    """Drop the queues of sockets that no task can reach."""
    lost = _flying(common)
    if not lost:
        return
    everyone = list(common.sockets())
    unborn = {end for socket in everyone for end in socket.embryos}
    found = [socket for socket in everyone if socket not in lost and socket not in unborn]
    while found:
        for socket in _received_from(found.pop()):
            if socket in lost:
                del lost[socket]
                found.append(socket)
    for socket in lost:
        for one in (socket, *socket.embryos):
            one.drop_queue()
