"""What travels: bytes with the address and the credentials of who sent them, and open files.

A packet costs its sender what Linux's sk_buff of that length takes, from send to read: so a queue
of small messages is full long before its bytes are many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.net.socket import Socket
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Holder

PAGE_SIZE = 4096
# What Linux's buffers are made of: sk_buff, the data's block, pages behind a long head.
CACHE_LINE, BUFFER_HEAD, SHARED_INFO, SMALLEST_BLOCK = 64, 256, 320, 512
LONGEST_MESSAGE_HEAD = 4 * PAGE_SIZE - SHARED_INFO
LONGEST_STREAM_HEAD = PAGE_SIZE - SHARED_INFO
PIECE_PAGES = 8 * PAGE_SIZE  # what a stream's packet may have behind its head


class Creds(NamedTuple):
    """Who sent something, as SCM_CREDENTIALS and SO_PEERCRED show it."""

    pid: int
    uid: int
    gid: int


NOBODY = Creds(0, -1, -1)


class IpHead(NamedTuple):
    """What IP says of a datagram; before it is sent, what its sender has chosen: None: nothing.

    hops: TTL or hop limit; traffic: TOS or traffic class; source, to: addresses of 16 bytes.
    """

    hops: int | None = None
    traffic: int | None = None
    source: bytes | None = None
    to: bytes = b""


NO_HEAD = IpHead()


class Packet:
    """One message, or a piece of a stream of which `data` has not been read yet.

    sender: whose buffer it counts for; name: its address. uid: who sent its files, once it is on
    its way. head: of a datagram. oob: whether it is a stream's urgent byte, and still of use.
    peeked: whether it is an empty message that was looked at. process: who is named by creds.
    """

    __slots__ = (
        *("cost", "creds", "data", "files", "head"),
        *("name", "oob", "peeked", "process", "sender", "uid"),
    )

    def __init__(
        self,
        data: bytes,
        name: bytes = b"",
        creds: Creds | None = None,
        files: tuple[File, ...] = (),
        cost: int = 0,
    ) -> None:
        self.data = data
        self.name = name
        self.creds = creds
        self.files = files
        self.cost = cost
        self.head = NO_HEAD
        self.oob = 0
        self.peeked = 0
        self.process: Holder | None = None
        self.sender: Socket | None = None
        self.uid = 0

    def rest(self, done: int) -> Packet:
        """Return what is to be sent once done bytes went: what goes along went with the first."""
        rest = Packet(self.data[done:], creds=self.creds, files=() if done else self.files)
        rest.head = self.head
        return rest


def message_at(queue: Iterable[Packet], peek_off: int) -> tuple[Packet, int] | None:
    """Return the message that a call looks at, and where in it; None: all are passed.

    peek_off: bytes to pass, and then empty messages that were looked at; below 0: none of them.
    """
    for packet in queue:
        if peek_off < len(packet.data) or (not peek_off and not packet.peeked):
            packet.peeked = int(not packet.data)
            return packet, max(peek_off, 0)
        peek_off -= len(packet.data)
    return None


class Received(NamedTuple):
    """What a look at a queue found.

    length: of the whole message, of which a datagram's first `passed` bytes were passed over.
    last: nothing behind it may come with it in one call. oob: it is the urgent byte.
    """

    data: bytes
    length: int
    name: bytes = b""
    creds: Creds | None = None
    files: tuple[File, ...] = ()
    last: int = 0
    oob: int = 0
    head: IpHead = NO_HEAD
    process: Holder | None = None
    passed: int = 0


NOTHING = Received(b"", 0, last=1)


def _pages(nbytes: int) -> int:
    return -(-nbytes // PAGE_SIZE) * PAGE_SIZE


def _cost(head: int, behind: int) -> int:
    """Return skb->truesize, bytes: head bytes in one block and `behind` bytes of pages."""
    data = -(-head // CACHE_LINE) * CACHE_LINE
    block = max(SMALLEST_BLOCK, 1 << (data + SHARED_INFO - 1).bit_length())
    return block + BUFFER_HEAD + behind


def message_cost(nbytes: int) -> int:
    """Return what a message of nbytes costs its sender, bytes."""
    behind = _pages(max(0, nbytes - LONGEST_MESSAGE_HEAD))
    return _cost(max(0, nbytes - behind), behind)


def piece_cost(nbytes: int) -> int:
    """Return what a piece of nbytes of a stream costs its sender, bytes."""
    behind = min(nbytes, _pages(max(0, nbytes - LONGEST_STREAM_HEAD)))
    return _cost(nbytes - behind, _pages(behind))


def longest_piece(sndbuf: int) -> int:
    """Return how many bytes one packet of a stream holds at most."""
    return min((sndbuf >> 1) - CACHE_LINE, LONGEST_MESSAGE_HEAD + PIECE_PAGES)
