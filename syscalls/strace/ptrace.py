"""How strace shows ptrace, whose arguments depend on the request."""

from __future__ import annotations

import struct

from pkern.kernel.tasks.registers import userregs
from pkern.syscalls.flags import PTRACE, PTRACE_OPTIONS
from pkern.syscalls.strace.decode import (
    Decoder,
    View,
    address,
    after,
    choice,
    flags,
    hexadecimal,
    integer,
    memory,
    pointer,
    signal,
    stored,
    structure,
)
from pkern.syscalls.strace.structs import siginfo_out
from pkern.syscalls.tasks import ptrace as abi

FPREGS = struct.Struct("<4HQQII32I64I24I")


def _array(words: tuple[int, ...], count: int) -> str:
    shown = [hex(word) if word else "0" for word in words[:count]]
    return f"[{', '.join(shown + ['...'] * (len(words) > count))}]"


def _general(*words: int) -> str:
    shown = (
        f"{name}={hex(word) if word else 0}"
        for name, word in zip(userregs.USER_REGS, words, strict=True)
    )
    return f"{{{', '.join(shown)}}}"


def _floating(*f: int) -> str:
    titles = ("cwd", "swd", "ftw", "fop", "rip", "rdp", "mxcsr", "mxcr_mask")
    shown = [
        f"{title}={hex(word) if word else 0}" for title, word in zip(titles, f[:8], strict=True)
    ]
    arrays = {"st_space": f[8:40], "xmm_space": f[40:104], "padding": f[104:]}
    shown += [f"{title}={_array(words, 32)}" for title, words in arrays.items()]
    return f"{{{', '.join(shown)}}}"


general = structure(userregs.REGS.format, _general)
floating = structure(FPREGS.format, _floating)


def fourth(decoder: Decoder) -> Decoder:
    """Return a decoder of ptrace's data: such requests show no address."""
    return lambda view, i: decoder(view, 3)


def fourth_stored(decoder: Decoder) -> Decoder:
    """Return a decoder of what a request stores at its data."""
    return after(fourth(stored(decoder)))


@after
def word_out(view: View, i: int) -> str:
    raw = None if view.failed else memory(view, view.args[i], 8)
    return address(view.args[i]) if raw is None else f"[{int.from_bytes(raw, 'little'):#x}]"


def go_on_signal(view: View, i: int) -> str:
    return signal(view, i) if view.args[i] else "0"


HEAD: tuple[Decoder, ...] = (choice(PTRACE, "PTRACE_???"), integer)
GO_ON: tuple[Decoder, ...] = (pointer, go_on_signal)
# What follows the request and the pid.
DATA: dict[int, tuple[Decoder, ...]] = {
    abi.PEEKTEXT: (pointer, word_out),
    abi.PEEKDATA: (pointer, word_out),
    abi.POKETEXT: (pointer, hexadecimal),
    abi.POKEDATA: (pointer, hexadecimal),
    abi.CONT: GO_ON,
    abi.SYSCALL: GO_ON,
    abi.SYSEMU: GO_ON,
    abi.SINGLESTEP: GO_ON,
    abi.SYSEMU_SINGLESTEP: GO_ON,
    abi.DETACH: GO_ON,
    abi.KILL: (),
    abi.ATTACH: (),
    abi.INTERRUPT: (),
    abi.LISTEN: (),
    abi.SEIZE: (pointer, flags(PTRACE_OPTIONS)),
    abi.PEEKUSR: (integer, word_out),
    abi.POKEUSR: (integer, hexadecimal),
    abi.GETEVENTMSG: (pointer, word_out),
    abi.GETREGS: (fourth_stored(general),),
    abi.SETREGS: (fourth(general),),
    abi.GETFPREGS: (fourth_stored(floating),),
    abi.SETFPREGS: (fourth(floating),),
    abi.SETOPTIONS: (pointer, flags(PTRACE_OPTIONS)),
    abi.GETSIGINFO: (pointer, siginfo_out),
    abi.SWITCH_MM: (pointer, integer),
}


def ptrace_decoders(view: View, chosen: tuple[Decoder, ...]) -> tuple[Decoder, ...]:
    """Return the decoders of one request."""
    request = view.args[0] & 0xFFFF_FFFF
    if request == abi.TRACEME:
        return HEAD[:1]
    return HEAD + DATA.get(request, (pointer, pointer))
