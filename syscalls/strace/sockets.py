"""How strace shows the calls of sockets: addresses, messages, what travels with them, options.

The decoders follow decode.py's rules. A length that a call changes is shown as it was and as it is:
View.noted holds what stood there when the call was made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pkern.syscalls.flags import (
    CONTROL_KINDS,
    FAMILIES,
    INET_PROTOCOLS,
    IP_OPTIONS,
    IPV6_OPTIONS,
    MESSAGE,
    NETLINK_PROTOCOLS,
    SOCKET_FLAGS,
    SOCKET_LEVELS,
    SOCKET_OPTIONS,
    SOCKET_TYPES,
    TCP_OPTIONS,
)
from pkern.syscalls.strace.decode import View, address, after, escaped, memory, names, vectors_at

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, SOL_SOCKET = 1, 2, 10, 16, 1
ADDRESS_MAX, MSGHDR_BYTES, MMSGHDR_BYTES = 128, 56, 64
MSGHDR, CMSGHDR = struct.Struct("<QI4xQQQQI4x"), struct.Struct("<Qii")
# By level: the names of its options, and what stands where there is none.
OPTIONS_OF_LEVELS = {
    0: (IP_OPTIONS, "IP_???"),
    1: (SOCKET_OPTIONS, "SO_???"),
    6: (TCP_OPTIONS, "TCP_???"),
    41: (IPV6_OPTIONS, "IPV6_???"),
}
EVERYTHING, SHOWN_MESSAGES, SHOWN_CONTROL = 1 << 62, 32, 4096


def socket_type(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    kind = SOCKET_TYPES.get(value & 0xF) or f"{value & 0xF:#x} /* SOCK_??? */"
    return f"{kind}|{names(value & ~0xF, SOCKET_FLAGS)}" if value & ~0xF else kind


def protocol(view: View, i: int) -> str:
    family, value = view.args[0] & 0xFFFF_FFFF, view.args[i] & 0xFFFF_FFFF
    if family in (AF_INET, AF_INET6):
        return INET_PROTOCOLS.get(value) or f"{value:#x} /* IPPROTO_??? */"
    if family == AF_NETLINK:
        return NETLINK_PROTOCOLS.get(value) or f"{value:#x} /* NETLINK_??? */"
    return str(value)


# ---- addresses ----


def ip4_text(raw: bytes) -> str:
    """Return an address of IPv4 in dots."""
    return ".".join(map(str, raw))


def ip6_text(raw: bytes) -> str:
    """Return an address of IPv6 as inet_ntop(3) does: the longest run of zeros left out."""
    if raw[:12] == bytes(10) + b"\xff\xff":
        return f"::ffff:{ip4_text(raw[12:])}"
    words = [f"{high << 8 | low:x}" for high, low in zip(raw[::2], raw[1::2], strict=True)]
    runs = [
        (end - start, -start)
        for start in range(8)
        for end in range(start + 2, 9)
        if words[start:end] == ["0"] * (end - start)
    ]
    if not runs:
        return ":".join(words)
    length, start = max(runs)[0], -max(runs)[1]
    return f"{':'.join(words[:start])}::{':'.join(words[start + length :])}"


def _unix_text(raw: bytes) -> str:
    name = raw[2:]
    if name[:1] == b"\0":
        return f"{{sa_family=AF_UNIX, sun_path=@{escaped(name[1:])}}}"
    text = name.split(b"\0")[0]
    return f"{{sa_family=AF_UNIX{f', sun_path={escaped(text)}' if text else ''}}}"


def _inet_text(raw: bytes) -> str:
    if len(raw) < 16:
        return _other_text(raw)
    port = int.from_bytes(raw[2:4], "big")
    ip = ip4_text(raw[4:8])
    return f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{ip}")}}'


def _inet6_text(raw: bytes) -> str:
    if len(raw) < 24:
        return _other_text(raw)
    port, flow = struct.unpack_from(">HI", raw, 2)
    scope = f", sin6_scope_id={int.from_bytes(raw[24:28], 'little')}" if len(raw) >= 28 else ""
    return (
        f"{{sa_family=AF_INET6, sin6_port=htons({port}), sin6_flowinfo=htonl({flow}),"
        f' inet_pton(AF_INET6, "{ip6_text(raw[8:24])}", &sin6_addr){scope}}}'
    )


def _netlink_text(raw: bytes) -> str:
    if len(raw) < 12:
        return _other_text(raw)
    port, groups = struct.unpack_from("<II", raw, 4)
    return f"{{sa_family=AF_NETLINK, nl_pid={port}, nl_groups={groups:08x}}}"


def _other_text(raw: bytes) -> str:
    family = int.from_bytes(raw[:2], "little")
    shown = FAMILIES.get(family) or f"{family:#x} /* AF_??? */"
    data = f", sa_data={escaped(raw[2:16])}" if len(raw) > 2 else ""
    return f"{{sa_family={shown}{data}}}"


BY_FAMILY: dict[int, Callable[[bytes], str]] = {
    AF_UNIX: _unix_text,
    AF_INET: _inet_text,
    AF_INET6: _inet6_text,
    AF_NETLINK: _netlink_text,
}


def _address_text(view: View, addr: int, length: int) -> str:
    raw = memory(view, addr, min(length, ADDRESS_MAX)) if addr else None
    if raw is None or len(raw) < 2:
        return address(addr)
    return BY_FAMILY.get(int.from_bytes(raw[:2], "little"), _other_text)(raw)


def socket_address(view: View, i: int) -> str:
    return _address_text(view, view.args[i], view.args[i + 1] & 0xFFFF_FFFF)


def _length_at(view: View, addr: int) -> int | None:
    raw = memory(view, addr, 4) if addr else None
    return None if raw is None else int.from_bytes(raw, "little")


@after
def stored_address(view: View, i: int) -> str:
    """Show an address that the call stores, if there was room for it."""
    length = _length_at(view, view.args[i + 1])
    if view.failed or length is None or view.noted is None or view.noted < length:
        return address(view.args[i])
    return _address_text(view, view.args[i], length)


@after
def changed_length(view: View, i: int) -> str:
    """Show a length before and after the call."""
    length = _length_at(view, view.args[i])
    if length is None:
        return address(view.args[i])
    if view.failed or view.noted is None or view.noted == length:
        return f"[{view.noted if view.failed else length}]"
    return f"[{view.noted} => {length}]"


# ---- messages ----


def _control_data(kind: int, data: bytes) -> str:
    if kind == 1:
        fds = struct.unpack(f"<{len(data) // 4}i", data[: len(data) // 4 * 4])
        return f", cmsg_data=[{', '.join(map(str, fds))}]"
    if kind == 2 and len(data) == 12:
        pid, uid, gid = struct.unpack("<3i", data)
        return f", cmsg_data={{pid={pid}, uid={uid}, gid={gid}}}"
    return f", cmsg_data={escaped(data)}" if data else ""


def _control(view: View, addr: int, length: int) -> str:
    raw = memory(view, addr, min(length, SHOWN_CONTROL)) if addr else None
    if raw is None:
        return address(addr)
    shown, at = [], 0
    while len(raw) - at >= CMSGHDR.size:
        size, level, kind = CMSGHDR.unpack_from(raw, at)
        data = raw[at + CMSGHDR.size : at + size]
        of_socket = CONTROL_KINDS.get(kind) if level == SOL_SOCKET else None
        where = SOCKET_LEVELS.get(level) or f"{level:#x} /* SOL_?? */"
        what = of_socket or f"{kind:#x}"
        text = f"{{cmsg_len={size}, cmsg_level={where}, cmsg_type={what}"
        shown.append(text + (_control_data(kind, data) if of_socket else "") + "}")
        if size < CMSGHDR.size:
            break
        at += -(-size // 8) * 8
    return f"[{', '.join(shown)}]"


def _message(view: View, addr: int, limit: int, named: int | None) -> str:
    """Show a struct msghdr. named: its msg_namelen before the call, where that may change it."""
    raw = memory(view, addr, MSGHDR_BYTES) if addr else None
    if raw is None:
        return address(addr)
    name, name_length, parts, count, control, control_length, bits = MSGHDR.unpack(raw)
    changed = name and named is not None and named != name_length
    shown = [
        f"msg_name={_address_text(view, name, name_length)}",
        f"msg_namelen={f'{named} => ' if changed else ''}{name_length}",
        f"msg_iov={vectors_at(view, parts, count, limit)}",
        f"msg_iovlen={count}",
    ]
    if control_length:
        shown.append(f"msg_control={_control(view, control, control_length)}")
    shown += [f"msg_controllen={control_length}", f"msg_flags={names(bits, MESSAGE)}"]
    return f"{{{', '.join(shown)}}}"


def message_in(view: View, i: int) -> str:
    return _message(view, view.args[i], EVERYTHING, None)


@after
def message_out(view: View, i: int) -> str:
    if not view.failed:
        return _message(view, view.args[i], view.result or 0, view.noted)
    length = _length_at(view, view.args[i] + 8) if view.args[i] else None
    return address(view.args[i]) if length is None else f"{{msg_namelen={length}}}"


@after
def messages(view: View, i: int) -> str:
    """Show the messages that were sent or came, with the length of each."""
    if view.failed or view.result is None:
        return address(view.args[i])
    shown = []
    for number in range(min(view.result, SHOWN_MESSAGES)):
        at = view.args[i] + number * MMSGHDR_BYTES
        length = _length_at(view, at + MSGHDR_BYTES) or 0
        shown.append(f"{{msg_hdr={_message(view, at, length, None)}, msg_len={length}}}")
    return f"[{', '.join(shown)}]"


# ---- options ----


def option_level(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    return SOCKET_LEVELS.get(value) or f"{value:#x} /* SOL_?? */"


def option_name(view: View, i: int) -> str:
    level, value = view.args[i - 1] & 0xFFFF_FFFF, view.args[i] & 0xFFFF_FFFF
    if level not in OPTIONS_OF_LEVELS:
        return str(value)
    known, unknown = OPTIONS_OF_LEVELS[level]
    return known.get(value) or f"{value:#x} /* {unknown} */"


STRUCTURES: dict[int, tuple[str, str]] = {
    13: ("<ii", "{{l_onoff={}, l_linger={}}}"),
    17: ("<iii", "{{pid={}, uid={}, gid={}}}"),
}


def _option(view: View, i: int, length: int) -> str:
    addr, level, name = view.args[i], view.args[i - 2], view.args[i - 1]
    raw = memory(view, addr, min(length, 256)) if addr else None
    if raw is None:
        return address(addr)
    layout, text = STRUCTURES.get(name, ("", "")) if level == SOL_SOCKET else ("", "")
    if layout and len(raw) >= struct.calcsize(layout):
        return text.format(*struct.unpack_from(layout, raw))
    if len(raw) == 4:
        return f"[{int.from_bytes(raw, 'little', signed=True)}]"
    return escaped(raw[:32]) + ("..." if len(raw) > 32 else "")


def option_in(view: View, i: int) -> str:
    return _option(view, i, view.args[i + 1] & 0xFFFF_FFFF)


@after
def option_out(view: View, i: int) -> str:
    length = _length_at(view, view.args[i + 1])
    if view.failed or length is None:
        return address(view.args[i])
    return _option(view, i, length)
