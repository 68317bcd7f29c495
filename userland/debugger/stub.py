"""What a debugger asks of a stopped machine, packet by packet.

Owns the tables of packets, and the threads that the next ones are about. What lets the machine go
on is returned as a Resume; control.py acts on it. What is asked wrongly is answered with an error,
what is unknown with nothing, as the protocol wants it. Source: "gdb Remote Serial Protocol" of
gdb's manual.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel.cpu.stops import Kind
from pkern.kernel.errors import MemoryFault, SyscallError
from pkern.kernel.tasks.signal.sigframe import pack_siginfo
from pkern.userland.debugger import registers
from pkern.userland.debugger.files import Files
from pkern.userland.debugger.monitor import monitor
from pkern.userland.debugger.packets import PACKET_BYTES, Connection, escape
from pkern.userland.debugger.registers import REGISTERS
from pkern.userland.debugger.signals import FROM_GDB, TO_GDB
from pkern.userland.debugger.target import Catches, Place, Target, matches

if TYPE_CHECKING:
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

SIGTRAP, SIGINT = 5, 2
ANY = (-1, -1)
OK = b"OK"
TOLD = ("rbp", "rsp", "rip")  # with each stop: what gdb would ask for first
FEATURES = (
    f"PacketSize={PACKET_BYTES:x}", "QStartNoAckMode+", "multiprocess+", "swbreak+", "hwbreak+",
    "fork-events+", "vfork-events+", "exec-events+", "vContSupported+", "no-resumed+",
    "qXfer:features:read+", "qXfer:auxv:read+", "qXfer:exec-file:read+", "qXfer:siginfo:read+",
    "qXfer:threads:read+", "QPassSignals+", "QProgramSignals+", "QCatchSyscalls+",
)  # fmt: skip
BACKWARDS = ("ReverseStep+", "ReverseContinue+")
KINDS = {"0": Kind.BREAK, "1": Kind.BREAK, "2": Kind.WRITE, "3": Kind.READ, "4": Kind.ACCESS}
ENTERS, LEAVES = OF_CALLS = ("syscall_entry", "syscall_return")
NEWS = {Kind.WRITE: "watch", Kind.READ: "rwatch", Kind.ACCESS: "awatch"}


class Go(Enum):
    """What a thread does when it goes on."""

    RUN = "c"
    STEP = "s"
    BACK = "bc"
    STEP_BACK = "bs"


class Action(NamedTuple):
    """For the threads that pid and tid mean. signo: Linux's, delivered first; [first, end): stepped
    through."""

    go: Go
    pid: int = -1
    tid: int = -1
    signo: int = 0
    first: int = 0
    end: int = 0


class Resume(NamedTuple):
    """How the machine goes on: the first action that means a thread is its own.

    answer: sent at once. kills: processes that end instead.
    """

    actions: tuple[Action, ...] = (Action(Go.RUN),)
    kills: tuple[int, ...] = ()

    @property
    def goes_back(self) -> bool:
        """Tell whether it goes on backwards."""
        return any(action.go in (Go.BACK, Go.STEP_BACK) for action in self.actions)

    def of(self, task: Task) -> Action | None:
        """Return what a thread does; None: it stands still."""
        return next((a for a in self.actions if matches(task, a.pid, a.tid)), None)


class Stop(NamedTuple):
    """Why the machine stopped. signo: Linux's. about: for the debugger, as swbreak:; info: a
    signal's."""

    task: Task
    signo: int = SIGTRAP
    about: str = ""
    info: SigInfo | None = None


class Session(NamedTuple):
    """What a debugger has said to one machine and need not say again to another."""

    buffer: bytes
    acknowledges: int
    knows: frozenset[str]
    passed: frozenset[int]
    ids: dict[str, tuple[int, int]]
    files: Files
    places: tuple[Place, ...]
    pids: frozenset[int]
    catches: Catches
    globs: tuple[str, ...]


class BadPacket(ValueError):
    """A packet that asks for what cannot be."""


def thread_id(text: str) -> tuple[int, int]:
    """Return the process and the thread that text names; -1: all, 0: any."""
    if not text.startswith("p"):
        return -1, int(text, 16)
    pid, dot, tid = text[1:].partition(".")
    return int(pid, 16), int(tid, 16) if dot else -1


def name_of(task: Task) -> str:
    """Return a thread's name in the protocol."""
    return f"p{task.tgid:x}.{task.pid:x}"


class Stub:
    """One debugger's session. backwards: features for going back; (): it cannot."""

    def __init__(
        self, target: Target, connection: Connection, backwards: tuple[str, ...] = ()
    ) -> None:
        self.target = target
        self.connection = connection
        self.files = Files(target)
        self.stop: Stop | None = None
        self.reply = b""
        self.passed: frozenset[int] = frozenset()  # signals that it is not told of
        self.knows: frozenset[str] = frozenset()  # its own features
        self._backwards = backwards
        self._ids = {"g": ANY, "c": ANY}

    @property
    def session(self) -> Session:
        """What another stub has to know that goes on with this one's debugger."""
        connection, target = self.connection, self.target
        return Session(
            connection.kept,
            int(connection.acknowledges),
            self.knows,
            self.passed,
            self._ids,
            self.files.alone(),
            tuple(target.places),
            frozenset(target.groups),
            dict(target.catches),
            target.globs,
        )

    def take_over(self, session: Session) -> None:
        """Go on with another one's debugger."""
        self.connection.take_over(session.buffer, session.acknowledges)
        self.knows, self.passed, self._ids = session.knows, session.passed, session.ids
        self.files = session.files.of(self.target)
        self.target.places = dict.fromkeys(session.places)
        for pid in set(self.target.groups) - session.pids:
            self.target.groups.pop(pid)
        self.target.catches = session.catches
        self.target.watch(session.globs)

    # ---- what it is told ----

    def show(self, stop: Stop) -> bytes:
        """Note why the machine stopped, and return the answer that tells of it."""
        self.stop = stop
        self._ids["g"] = stop.task.tgid, stop.task.pid
        thread = f"thread:{name_of(stop.task)};"
        self.reply = (
            f"T{TO_GDB[stop.signo]:02x}{stop.about}{thread}{self._told(stop.task)}".encode()
        )
        return self.reply

    def _told(self, task: Task) -> str:
        if task.context is None or not task.alive:
            return ""
        values = dict(zip((r.name for r in REGISTERS), registers.read(task), strict=True))
        numbers = {r.name: i for i, r in enumerate(REGISTERS)}
        return "".join(f"{numbers[name]:x}:{values[name].hex()};" for name in TOLD)

    # ---- packets ----

    def answer(self, packet: bytes) -> bytes | Resume:
        """Return the answer to a packet, or how the machine is to go on."""
        try:
            return self._answer(packet)
        except SyscallError as error:
            return b"E%02x" % (error.number & 0xFF)
        except MemoryFault:
            return b"E%02x" % errno.EFAULT
        except (ValueError, IndexError, KeyError, TypeError):
            return b"E%02x" % errno.EINVAL

    def _answer(self, packet: bytes) -> bytes | Resume:
        if packet[:1] == b"X":
            return self._write_binary(packet)
        text = packet.decode("ascii", "replace")
        for length in (1, 2):
            handler = SHORT.get(text[:length])
            if handler is not None and (length == 2 or text[:1] not in LONGER):
                answer: bytes | Resume = handler(self, text[length:])
                return answer
        name = text
        for end in ":;,":
            name = name.partition(end)[0]
        named = LONG.get(name)
        return b"" if named is None else named(self, text[len(name) + 1 :])

    # ---- threads ----

    def _chosen(self, which: str = "g") -> Task:
        """Return the thread that the next packets are about. Errors: BadPacket."""
        pid, tid = self._ids[which]
        found = self.target.find(pid, tid)
        if found is None:
            raise BadPacket("no such thread")
        return found

    def _choose(self, text: str) -> bytes:
        pid, tid = thread_id(text[1:])
        if tid > 0 and self.target.find(pid, tid) is None:
            raise BadPacket(text)
        if self.stop is not None and pid <= 0 and tid <= 0:
            pid, tid = self.stop.task.tgid, self.stop.task.pid
        self._ids["g" if text[:1] == "g" else "c"] = pid, tid
        return OK

    def _is_alive(self, text: str) -> bytes:
        if self.target.find(*thread_id(text)) is None:
            raise BadPacket(text)
        return OK

    def _first_threads(self, _: str) -> bytes:
        names = ",".join(name_of(task) for task in self.target.threads())
        return b"m" + names.encode() if names else b"l"

    def _more_threads(self, _: str) -> bytes:
        return b"l"

    def _current(self, _: str) -> bytes:
        return b"QC" + name_of(self._chosen()).encode()

    def _extra_info(self, text: str) -> bytes:
        task = self.target.find(*thread_id(text))
        if task is None:
            raise BadPacket(text)
        return self._standing(task).encode().hex().encode()

    def _standing(self, task: Task) -> str:
        scheduler = self.target.kernel.need_scheduler()
        sleeps = task.waiting is not None
        return scheduler.waiting_for(task) if sleeps else ""

    # ---- registers and memory ----

    def _get_all(self, _: str) -> bytes:
        return b"".join(registers.read(self._chosen())).hex().encode()

    def _set_all(self, text: str) -> bytes:
        data, values, at = bytes.fromhex(text), {}, 0
        for number, register in enumerate(REGISTERS):
            part = data[at : at + register.bits // 8]
            if len(part) == register.bits // 8:
                values[number] = part
            at += register.bits // 8
        return self._set(values)

    def _get_one(self, text: str) -> bytes:
        return registers.read(self._chosen())[int(text, 16)].hex().encode()

    def _set_one(self, text: str) -> bytes:
        number, _, value = text.partition("=")
        data = bytes.fromhex(value)
        if len(data) != REGISTERS[int(number, 16)].bits // 8:
            raise BadPacket(text)
        return self._set({int(number, 16): data})

    def _set(self, values: dict[int, bytes]) -> bytes:
        task = self._chosen()
        if task.thread.call is not None:
            raise SyscallError(errno.EBUSY)  # it is in a call, which would not know
        registers.write(task, values)
        self.target.has_changed = True
        return OK

    def _read(self, text: str) -> bytes:
        addr, nbytes = (int(word, 16) for word in text.split(","))
        data = self.target.read(self._chosen(), addr, min(nbytes, PACKET_BYTES // 2))
        if nbytes and not data:
            raise SyscallError(errno.EFAULT)
        return data.hex().encode()

    def _write(self, text: str) -> bytes:
        where, _, value = text.partition(":")
        return self._write_at(where, bytes.fromhex(value))

    def _write_binary(self, packet: bytes) -> bytes:
        where, _, data = packet[1:].partition(b":")
        return self._write_at(where.decode("ascii"), data)

    def _write_at(self, where: str, data: bytes) -> bytes:
        addr, nbytes = (int(word, 16) for word in where.split(","))
        if len(data) != nbytes:
            raise BadPacket(where)
        self.target.write(self._chosen(), addr, data)
        return OK

    def _put_place(self, text: str) -> bytes:
        return self._place(text, self.target.put)

    def _take_place(self, text: str) -> bytes:
        return self._place(text, self.target.take)

    def _place(self, text: str, change: Callable[[Place], None]) -> bytes:
        number, addr, nbytes = text.partition(";")[0].split(",")
        if number not in KINDS:
            return b""
        kind = KINDS[number]
        length = 1 if kind is Kind.BREAK else int(nbytes, 16)
        change(Place(self._chosen().tgid, kind, int(addr, 16), length))
        return OK

    # ---- going on ----

    def _why(self, _: str) -> bytes:
        return self.reply

    def _actions(self, _: str) -> bytes:
        return b"vCont;c;C;s;S;r"

    def _resume(self, text: str) -> Resume:
        return Resume(tuple(self._action(part) for part in text.split(";") if part))

    def _action(self, text: str) -> Action:
        what, colon, thread = text.partition(":")
        pid, tid = thread_id(thread) if colon else ANY
        letter, rest = what[0], what[1:]
        if letter == "r":
            first, _, end = rest.partition(",")
            return Action(Go.STEP, pid, tid, 0, int(first, 16), int(end, 16))
        if letter not in "cCsS":
            raise BadPacket(text)
        signo = FROM_GDB.get(int(rest, 16), 0) if letter in "CS" else 0
        return Action(Go.RUN if letter in "cC" else Go.STEP, pid, tid, signo)

    def _old_resume(self, letter: str, text: str) -> Resume:
        task = self._chosen("c")
        action = self._action(letter + text.partition(";")[0])
        return Resume((action._replace(pid=task.tgid, tid=task.pid), Action(Go.RUN)))

    def _run(self, text: str) -> Resume:
        return self._old_resume("c", "")

    def _run_with(self, text: str) -> Resume:
        return self._old_resume("C", text)

    def _step(self, text: str) -> Resume:
        return self._old_resume("s", "")

    def _step_with(self, text: str) -> Resume:
        return self._old_resume("S", text)

    def _back(self, go: Go) -> Resume:
        if not self._backwards:
            raise BadPacket("there is no way back")
        task = self._chosen("c")
        return Resume((Action(go, task.tgid, task.pid),))

    def _run_back(self, _: str) -> Resume:
        return self._back(Go.BACK)

    def _step_back(self, _: str) -> Resume:
        return self._back(Go.STEP_BACK)

    def _kill_all(self, _: str) -> Resume:
        return Resume(kills=tuple(self.target.groups))

    def _kill(self, text: str) -> Resume | bytes:
        pid = int(text, 16)
        if pid not in self.target.groups:
            raise BadPacket(text)
        self.connection.send(OK)
        return Resume(kills=(pid,))

    def _detach(self, text: str) -> Resume | bytes:
        pids = [int(text[1:], 16)] if text else list(self.target.groups)
        if not set(pids) <= set(self.target.groups):
            raise BadPacket(text)
        for pid in pids:
            self.target.drop(pid)
        if self.target.groups:
            return OK
        self.connection.send(OK)
        return Resume()

    # ---- questions ----

    def _supported(self, text: str) -> bytes:
        self.knows = frozenset(text.split(";"))
        return ";".join((*FEATURES, *self._backwards)).encode()

    def follows(self, event: str) -> bool:
        """Tell whether the debugger wants to know of an event: fork, vfork, exec."""
        return f"{event}-events+" in self.knows

    def _no_acks(self, _: str) -> bytes:
        self.connection.send(OK)
        self.connection.acknowledges = False
        return NOTHING_TO_SAY

    def _attached(self, _: str) -> bytes:
        return b"0"  # it was started for the debugger, and ends with it

    def _fine(self, _: str) -> bytes:
        return OK

    def _pass_signals(self, text: str) -> bytes:
        numbers = (int(word, 16) for word in text.split(";") if word)
        self.passed = frozenset(FROM_GDB[n] for n in numbers if n in FROM_GDB)
        return OK

    def _catch_calls(self, text: str) -> bytes:
        on, *numbers = text.split(";")
        calls, pid = self.target.catches, self._chosen().tgid
        calls.pop(pid, None)
        if int(on):
            calls[pid] = frozenset(int(word, 16) for word in numbers)
        return OK

    def _monitor(self, text: str) -> bytes:
        words = bytes.fromhex(text).decode("utf-8", "replace")
        said = monitor(self.target, self._chosen(), words)
        return said.encode("utf-8", "surrogateescape").hex().encode() or OK

    def _file(self, text: str) -> bytes:
        return self.files.answer(text)

    # ---- objects ----

    def _transfer(self, text: str) -> bytes:
        name, operation, annex, where = text.split(":")
        offset, most = (int(word, 16) for word in where.split(","))
        if name not in OBJECTS or operation != "read":
            return b""
        data = OBJECTS[name](self, annex)
        part = data[offset : offset + min(most, PACKET_BYTES // 2)]
        return (b"m" if offset + len(part) < len(data) else b"l") + escape(part)

    def _description(self, annex: str) -> bytes:
        if annex != "target.xml":
            raise BadPacket(annex)
        return registers.description().encode()

    def _auxv(self, _: str) -> bytes:
        areas = self._chosen().mm.areas
        return b"" if areas is None else areas.auxv

    def _exec_file(self, annex: str) -> bytes:
        task = self.target.find(int(annex, 16), -1) if annex else self._chosen()
        if task is None:
            raise BadPacket(annex)
        return os.fsencode(task.program)

    def _siginfo(self, _: str) -> bytes:
        stop = self.stop
        if stop is None or stop.info is None or stop.task is not self._chosen():
            raise BadPacket("no signal")
        return pack_siginfo(stop.info)

    def _threads(self, _: str) -> bytes:
        rows = "".join(
            f'<thread id="{name_of(task)}" name="{_xml(task.name)}">{_xml(self._standing(task))}'
            "</thread>"
            for task in self.target.threads()
        )
        return f'<?xml version="1.0"?><threads>{rows}</threads>'.encode("utf-8", "replace")


NOTHING_TO_SAY = b"\0"  # no answer: it has been sent
Handler = Callable[[Stub, str], Any]  # bytes, or a Resume
SHORT: dict[str, Handler] = {
    "?": Stub._why,
    "H": Stub._choose,
    "T": Stub._is_alive,
    "g": Stub._get_all,
    "G": Stub._set_all,
    "p": Stub._get_one,
    "P": Stub._set_one,
    "m": Stub._read,
    "M": Stub._write,
    "Z": Stub._put_place,
    "z": Stub._take_place,
    "c": Stub._run,
    "C": Stub._run_with,
    "s": Stub._step,
    "S": Stub._step_with,
    "k": Stub._kill_all,
    "D": Stub._detach,
    "bc": Stub._run_back,
    "bs": Stub._step_back,
}
LONGER = frozenset("qQvb")
LONG: dict[str, Handler] = {
    "qSupported": Stub._supported,
    "QStartNoAckMode": Stub._no_acks,
    "qAttached": Stub._attached,
    "qC": Stub._current,
    "qfThreadInfo": Stub._first_threads,
    "qsThreadInfo": Stub._more_threads,
    "qThreadExtraInfo": Stub._extra_info,
    "qXfer": Stub._transfer,
    "qRcmd": Stub._monitor,
    "qSymbol": Stub._fine,
    "QPassSignals": Stub._pass_signals,
    "QProgramSignals": Stub._fine,
    "QCatchSyscalls": Stub._catch_calls,
    "vCont?": Stub._actions,
    "vCont": Stub._resume,
    "vKill": Stub._kill,
    "vFile": Stub._file,
}
OBJECTS: dict[str, Handler] = {
    "features": Stub._description,
    "auxv": Stub._auxv,
    "exec-file": Stub._exec_file,
    "siginfo": Stub._siginfo,
    "threads": Stub._threads,
}


def _xml(text: str) -> str:
    shown = "".join(c for c in text if c.isprintable())
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def place_news(place: Place) -> str:
    """Return what the debugger is told of a place at which a thread stopped."""
    if place.kind is Kind.BREAK:
        return "swbreak:;"
    return f"{NEWS[place.kind]}:{place.addr:x};"
