"""What each opcode of an entry does: a system call, with its arguments from the entry.

A handler finds the request's open file by the descriptor HELD. An opcode that is not here is EINVAL
in its completion, and IORING_REGISTER_PROBE says so. Source: io_uring_enter(2), Linux 6.18.
"""

from __future__ import annotations

from pkern.syscalls.files.at import AT_REMOVEDIR
from pkern.syscalls.io_uring import (
    commands,
    futexes,
    naming,
    resources,
    talking,
    telling,
    transfers,
    waiting,
)
from pkern.syscalls.io_uring.requests import IF_ANY, LINK_TIMEOUT, SELECTS, Operation

BUFFER = ("buf_index", "file_index")
WITH_FILE, WITHOUT = True, False
OPERATIONS: dict[int, Operation] = {
    0: Operation(telling.nop, takes_file=WITHOUT, flags=telling.NOP_FLAGS),
    1: Operation(
        transfers.readv,
        ioprio=0xFFFF,
        prepare=transfers.take_vectors,
        selects=SELECTS,
        whole=transfers.bytes_of_vectors,
        room=transfers.bytes_of_vectors,
    ),
    2: Operation(
        transfers.writev,
        ioprio=0xFFFF,
        prepare=transfers.take_vectors,
        whole=transfers.bytes_of_vectors,
    ),
    3: Operation(transfers.fsync, ("addr", *BUFFER), transfers.FDATASYNC),
    4: Operation(
        transfers.read_fixed,
        ioprio=0xFFFF,
        prepare=transfers.take_attributes,
        whole=transfers.length,
    ),
    5: Operation(
        transfers.write_fixed,
        ioprio=0xFFFF,
        prepare=transfers.take_attributes,
        whole=transfers.length,
    ),
    waiting.NR_POLL_ADD: Operation(
        waiting.poll_add,
        ("buf_index", "off", "addr"),
        check=waiting.check_poll,
        again=waiting.polls_on,
        rests=lambda request: True,
    ),
    7: Operation(
        waiting.poll_remove,
        ("buf_index", "file_index"),
        takes_file=WITHOUT,
        check=waiting.check_poll_remove,
    ),
    8: Operation(transfers.sync_file_range, ("addr", *BUFFER)),
    9: Operation(
        talking.sendmsg,
        ("off", "file_index"),
        ioprio=talking.POLL_FIRST,
        prepare=talking.take_outgoing,
    ),
    10: Operation(
        talking.recvmsg,
        ("off", "file_index"),
        ioprio=talking.POLL_FIRST | talking.RECV_MULTI,
        check=talking.check_recv,
        prepare=talking.take_incoming,
        selects=IF_ANY,
        again=talking.receives_on,
        rests=waiting.is_drained,
        room=talking.vector_of_message,
    ),
    waiting.NR_TIMEOUT: Operation(
        waiting.timeout,
        ("buf_index", "file_index"),
        waiting.TIMEOUT_FLAGS,
        takes_file=WITHOUT,
        check=waiting.check_timeout,
        prepare=waiting.take_time,
        again=waiting.goes_on,
        meant=waiting.is_success,
    ),
    12: Operation(
        waiting.timeout_remove,
        ("buf_index", "length", "file_index"),
        takes_file=WITHOUT,
        check=waiting.check_timeout_remove,
        prepare=waiting.take_new_time,
    ),
    13: Operation(
        talking.accept,
        ("length", "buf_index"),
        check=talking.check_accept,
        ioprio=talking.ACCEPT_MULTI | talking.ACCEPT_DONTWAIT | talking.ACCEPT_POLL_FIRST,
        again=talking.accepts_on,
    ),
    14: Operation(
        waiting.cancel,
        ("off", "file_index"),
        waiting.CANCEL_FLAGS,
        takes_file=WITHOUT,
        check=waiting.check_cancel,
    ),
    LINK_TIMEOUT: Operation(
        waiting.link_timeout,
        ("buf_index", "file_index", "off"),
        waiting.TIMEOUT_FLAGS,
        takes_file=WITHOUT,
        check=waiting.check_timeout,
        prepare=waiting.take_time,
    ),
    16: Operation(talking.connect, ("length", "op_flags", *BUFFER), prepare=talking.take_address),
    17: Operation(transfers.fallocate, ("op_flags", *BUFFER)),
    18: Operation(naming.openat, ("buf_index",), takes_file=WITHOUT, prepare=naming.take_openat),
    19: Operation(
        naming.close,
        ("off", "addr", "length", "op_flags", "buf_index"),
        takes_file=WITHOUT,
        check=naming.check_close,
    ),
    20: Operation(
        resources.update_files, ("op_flags", "file_index"), takes_file=WITHOUT, check=resources.some
    ),
    21: Operation(naming.statx, BUFFER, takes_file=WITHOUT, prepare=naming.take_looked_at),
    22: Operation(
        transfers.read,
        ioprio=0xFFFF,
        prepare=transfers.take_attributes,
        selects=SELECTS,
        whole=transfers.length,
    ),
    23: Operation(
        transfers.write, ioprio=0xFFFF, prepare=transfers.take_attributes, whole=transfers.length
    ),
    24: Operation(transfers.fadvise, ("addr", *BUFFER)),
    25: Operation(transfers.madvise, ("off", *BUFFER), takes_file=WITHOUT),
    26: Operation(
        talking.send,
        ("addr3",),
        prepare=talking.take_target,
        ioprio=talking.POLL_FIRST,
        selects=SELECTS,
        room=talking.room_to_send,
    ),
    27: Operation(
        talking.recv,
        ("off", "file_index"),
        ioprio=talking.POLL_FIRST | talking.RECV_MULTI,
        check=talking.check_recv,
        selects=IF_ANY,
        again=talking.receives_on,
        rests=waiting.is_drained,
    ),
    28: Operation(naming.openat2, ("buf_index",), takes_file=WITHOUT, prepare=naming.take_openat2),
    29: Operation(waiting.epoll_ctl, BUFFER, prepare=waiting.take_event),
    31: Operation(
        resources.provide,
        ("op_flags", "file_index"),
        takes_file=WITHOUT,
        check=resources.check_provided,
    ),
    32: Operation(
        resources.take_back,
        ("op_flags", "addr", "length", "off", "file_index"),
        takes_file=WITHOUT,
        check=resources.check_removed,
    ),
    30: Operation(transfers.splice, check=transfers.check_splice, whole=transfers.length),
    33: Operation(
        transfers.tee, ("off", "addr"), check=transfers.check_splice, whole=transfers.length
    ),
    34: Operation(talking.shutdown, ("off", "addr", "op_flags", *BUFFER)),
    35: Operation(naming.renameat, BUFFER, takes_file=WITHOUT, prepare=naming.take_paths),
    36: Operation(
        naming.unlinkat,
        ("off", "length", *BUFFER),
        AT_REMOVEDIR,
        takes_file=WITHOUT,
        prepare=naming.take_path,
    ),
    37: Operation(
        naming.mkdirat, ("off", "op_flags", *BUFFER), takes_file=WITHOUT, prepare=naming.take_path
    ),
    38: Operation(
        naming.symlinkat,
        ("length", "op_flags", *BUFFER),
        takes_file=WITHOUT,
        prepare=naming.take_paths,
    ),
    39: Operation(naming.linkat, BUFFER, takes_file=WITHOUT, prepare=naming.take_paths),
    40: Operation(telling.tell_ring, ("buf_index",), check=telling.check_tell),
    41: Operation(naming.fsetxattr, prepare=naming.take_wish),
    42: Operation(naming.setxattr, takes_file=WITHOUT, prepare=naming.take_wish_of_path),
    43: Operation(naming.fgetxattr, flags=0, prepare=naming.take_attribute),
    44: Operation(
        naming.getxattr, flags=0, takes_file=WITHOUT, prepare=naming.take_attribute_of_path
    ),
    45: Operation(
        talking.socket,
        ("addr", "op_flags", "buf_index"),
        takes_file=WITHOUT,
        check=talking.check_socket,
    ),
    46: Operation(commands.command, check=commands.check_command),
    47: Operation(
        talking.send_zc,
        ("addr3",),
        ioprio=0xFFFF,
        check=talking.check_zc,
        prepare=talking.take_target,
        afterwards=talking.tell_free,
    ),
    48: Operation(
        talking.sendmsg_zc,
        ("addr3", "off", "file_index"),
        ioprio=0xFFFF,
        check=talking.check_zc,
        prepare=talking.take_outgoing,
        afterwards=talking.tell_free,
    ),
    49: Operation(
        transfers.read_on,
        ("addr", "length"),
        ioprio=0xFFFF,
        check=transfers.check_read_on,
        selects=IF_ANY,
        again=transfers.reads_on,
        rests=waiting.is_drained,
    ),
    50: Operation(
        waiting.waitid,
        ("addr", "buf_index", "addr3", "op_flags"),
        takes_file=WITHOUT,
        counted=1,
    ),
    51: Operation(
        futexes.wait_for_one,
        ("length", "op_flags", *BUFFER),
        takes_file=WITHOUT,
        check=futexes.check,
        counted=1,
    ),
    52: Operation(
        futexes.wake_one_word,
        ("length", "op_flags", *BUFFER),
        takes_file=WITHOUT,
        check=futexes.check,
    ),
    53: Operation(
        futexes.wait_for_many,
        ("fd", "off", "op_flags", "addr3", *BUFFER),
        takes_file=WITHOUT,
        check=futexes.check_many,
        prepare=futexes.take_many,
        counted=1,
    ),
    54: Operation(
        resources.get_descriptor,
        ("off", "addr", "length", "addr3", *BUFFER),
        1,
        check=resources.in_slot,
    ),
    55: Operation(transfers.ftruncate, ("op_flags", "addr", "length", *BUFFER, "addr3")),
    56: Operation(talking.bind, ("length", "op_flags", *BUFFER), prepare=talking.take_address),
    57: Operation(talking.listen, ("addr", "off", "op_flags", *BUFFER)),
    59: Operation(waiting.epoll_wait, ("off", "op_flags", *BUFFER)),
    60: Operation(
        transfers.readv_fixed,
        ioprio=0xFFFF,
        prepare=transfers.take_parts,
        whole=transfers.bytes_of_vectors,
    ),
    61: Operation(
        transfers.writev_fixed,
        ioprio=0xFFFF,
        prepare=transfers.take_parts,
        whole=transfers.bytes_of_vectors,
    ),
    62: Operation(
        transfers.pipe, ("fd", "off", "addr3"), takes_file=WITHOUT, check=transfers.check_pipe
    ),
}
LAST = 62  # of Linux 6.18's opcodes
