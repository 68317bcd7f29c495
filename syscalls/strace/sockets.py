"""How strace shows the calls of sockets: addresses, messages, options.

The decoders follow decode.py's rules. A length that a call changes is shown as it was and as it is:
View.noted holds what stood there when the call was made.
"""

from __future__ import annotations

import struct

from pkern.syscalls.flags import (
    FAMILIES,
    MESSAGE,
    SOCKET_FLAGS,
    SOCKET_LEVELS,
    SOCKET_OPTIONS,
    SOCKET_TYPES,
)
from pkern.syscalls.strace.decode import View, address, after, escaped, memory, names, vectors_at

AF_UNIX, SOL_SOCKET = 1, 1
ADDRESS_MAX, MSGHDR_BYTES = 110, 56
EVERYTHING = 1 << 62


def socket_type(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    kind = SOCKET_TYPES.get(value & 0xF, hex(value & 0xF))
    return f"{kind}|{names(value & ~0xF, SOCKET_FLAGS)}" if value & ~0xF else kind


# ---- addresses ----


def _address_text(view: View, addr: int, length: int) -> str:
    raw = memory(view, addr, min(length, ADDRESS_MAX)) if addr else None
    if raw is None or len(raw) < 2:
        return address(addr)
    family = int.from_bytes(raw[:2], "little")
    if family != AF_UNIX:
        return address(addr)
    name = raw[2:]
    if name[:1] == b"\0":
        return f"{{sa_family=AF_UNIX, sun_path=@{escaped(name[1:])}}}"
    text = name.split(b"\0")[0]
    shown = f", sun_path={escaped(text)}" if text else ""
    return f"{{sa_family={FAMILIES[family]}{shown}}}"


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


def _message(view: View, i: int, limit: int) -> str:
    raw = memory(view, view.args[i], MSGHDR_BYTES) if view.args[i] else None
    if raw is None:
        return address(view.args[i])
    name, name_length, parts, count, control, control_length, bits = struct.unpack(
        "<QI4xQQQQI4x", raw
    )
    shown = [
        f"msg_name={_address_text(view, name, name_length)}",
        f"msg_namelen={name_length}",
        f"msg_iov={vectors_at(view, parts, count, limit)}",
        f"msg_iovlen={count}",
    ]
    shown += [f"msg_control={address(control)}"] if control_length else []
    shown += [f"msg_controllen={control_length}", f"msg_flags={names(bits, MESSAGE)}"]
    return f"{{{', '.join(shown)}}}"


def message_in(view: View, i: int) -> str:
    return _message(view, i, EVERYTHING)


@after
def message_out(view: View, i: int) -> str:
    if not view.failed:
        return _message(view, i, view.result or 0)
    length = _length_at(view, view.args[i] + 8) if view.args[i] else None
    return address(view.args[i]) if length is None else f"{{msg_namelen={length}}}"


# ---- options ----


def option_level(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    return SOCKET_LEVELS.get(value) or f"{value:#x} /* SOL_?? */"


def option_name(view: View, i: int) -> str:
    value = view.args[i] & 0xFFFF_FFFF
    if view.args[i - 1] & 0xFFFF_FFFF != SOL_SOCKET:
        return str(value)
    return SOCKET_OPTIONS.get(value) or f"{value:#x} /* SO_??? */"


def _option(view: View, addr: int, length: int) -> str:
    raw = memory(view, addr, min(length, 64)) if addr else None
    if raw is None:
        return address(addr)
    return f"[{int.from_bytes(raw, 'little', signed=True)}]" if len(raw) == 4 else escaped(raw)


def option_in(view: View, i: int) -> str:
    return _option(view, view.args[i], view.args[i + 1] & 0xFFFF_FFFF)


@after
def option_out(view: View, i: int) -> str:
    length = _length_at(view, view.args[i + 1])
    if view.failed or length is None:
        return address(view.args[i])
    return _option(view, view.args[i], length)
