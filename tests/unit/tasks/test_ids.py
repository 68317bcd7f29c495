"""Ids, groups and capabilities: the same calls here and on the host, step by step."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.credentials import ALL_CAPS, Credentials, caps_of, mask_of
from pkern.kernel.tasks.program.setid import of_program
from pkern.userland.program import Sys

LIBC = ctypes.CDLL(None, use_errno=True)
SETUID, SETGID, SETREUID, SETREGID, SETGROUPS = 105, 106, 113, 114, 116
SETRESUID, SETRESGID, SETFSUID, SETFSGID, CAPGET, CAPSET, PRCTL = 117, 119, 122, 123, 125, 126, 157
CAP_VERSION = 0x20080522
KEEP = 0xFFFF_FFFF
SEQUENCES = range(80)
STEPS = 12


@dataclass(frozen=True)
class Step:
    """A call: registers, of which a bytes one stands for its address."""

    nr: int
    registers: tuple[int | bytes, ...]


CALLS = [SETUID, SETREUID, SETRESUID, SETRESUID, SETFSUID, SETGID, SETREGID, SETRESGID]
CALLS += [SETFSGID, SETGROUPS, CAPSET, PRCTL, PRCTL]


def step_of(choose: random.Random) -> Step:
    def one() -> int:
        return choose.choice([0, 0, 1000, 1001, os.getuid(), KEEP])

    nr = choose.choice(CALLS)
    if nr == SETGROUPS:
        groups = [choose.choice([5, 3, 1000, 0]) for _ in range(choose.randrange(3))]
        return Step(nr, (len(groups), struct.pack(f"<{len(groups)}I", *groups)))
    if nr == CAPSET:
        sets = [choose.choice([0, 0xFF, 1 << 7, (1 << 41) - 1]) for _ in range(3)]
        words = [m >> shift & KEEP for shift in (0, 32) for m in sets]
        return Step(nr, (struct.pack("<Ii", CAP_VERSION, 0), struct.pack("<6I", *words)))
    if nr == PRCTL:
        return Step(nr, choose.choice(PRCTL_STEPS))
    count = {SETREUID: 2, SETREGID: 2, SETRESUID: 3, SETRESGID: 3}.get(nr, 1)
    return Step(nr, tuple(one() for _ in range(count)))


PRCTL_STEPS: list[tuple[int, ...]] = [
    (7,),
    (8, 1),
    (8, 0),
    (23, 7),
    (24, 7),
    (24, 41),
    (27,),
    (28, 1 << 2),
    (28, 1 << 6),
    (38, 1),
    (38, 2),
    (39,),
    (47, 2, 7, 0, 0),
    (47, 3, 7, 0, 0),
    (47, 1, 7, 0, 0),
    (47, 4, 0, 0, 0),
    (47, 4, 1, 0, 0),
    (47, 9, 0, 0, 0),
]


# ---- the host ----


def host_call(nr: int, registers: tuple[int | bytes, ...]) -> int:
    arguments = [
        ctypes.c_char_p(r) if isinstance(r, bytes) else ctypes.c_ulong(r)
        for r in (*registers, *(0,) * (6 - len(registers)))
    ]
    ctypes.set_errno(0)
    result: int = LIBC.syscall(ctypes.c_long(nr), *arguments)
    return -ctypes.get_errno() if result == -1 else result


def host_state() -> list[Any]:
    text = Path("/proc/thread-self/status").read_text()
    status = dict(line.split(":\t") for line in text.splitlines() if ":\t" in line)
    ids = [[int(i) for i in status[name].split()] for name in ("Uid", "Gid", "Groups")]
    caps = [int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
    return [*ids, caps, int(status["NoNewPrivs"])]


def on_host(steps: list[Step]) -> list[Any]:
    """Return what a child of this process sees after each step."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            seen = [host_state()]
            seen += [[host_call(step.nr, step.registers), host_state()] for step in steps]
            os.write(writer, json.dumps(seen).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    result: list[Any] = json.loads(text)
    return result


# ---- here ----


def state_of(cred: Credentials) -> list[Any]:
    sets = (cred.inheritable, cred.permitted, cred.effective, cred.bounding, cred.ambient)
    uids, gids = [*cred.uids, cred.fsuid], [*cred.gids, cred.fsgid]
    return [uids, gids, list(cred.groups), [mask_of(s) for s in sets], cred.no_new_privs]


def start(seen: list[Any]) -> Credentials:
    """Return the credentials that the host's child began with."""
    (uid, euid, suid, fsuid), (gid, egid, sgid, fsgid), groups, masks, no_new_privs = seen
    inheritable, permitted, effective, bounding, ambient = (caps_of(mask) for mask in masks)
    ids = (uid, gid, euid, egid, suid, sgid, fsuid, fsgid)
    sets = (permitted, effective, inheritable, bounding, ambient)
    return Credentials(*ids, tuple(groups), *sets, 0, no_new_privs)


def call(sys: Sys, step: Step) -> int:
    registers: list[int] = []
    at = sys.buffer
    for register in step.registers:
        if isinstance(register, bytes):
            sys.store(at, register or b"\0")
            registers.append(at)
            at += 256
        else:
            registers.append(register)
    return sys.syscall(step.nr, *registers)


@pytest.fixture
def sys() -> Iterator[Sys]:
    with Kernel(ram="16M") as kernel:
        program = Sys(kernel.spawn(uid=0, gid=0))
        program.buffer = program.mmap(0, 4096, 3, program.MAP_PRIVATE | program.MAP_ANONYMOUS)
        yield program


@pytest.mark.parametrize("seed", SEQUENCES)
def test_steps_have_the_hosts_results_and_effects(sys: Sys, seed: int) -> None:
    choose = random.Random(seed)
    steps = [step_of(choose) for _ in range(STEPS)]
    first, *after = on_host(steps)
    sys.task.use_credentials(start(first))
    assert state_of(sys.task.cred) == first
    for step, (result, state) in zip(steps, after, strict=True):
        assert [call(sys, step), state_of(sys.task.cred)] == [result, state], step


# ---- what the steps above do not say ----


def refused(number: int, function: Callable[..., Any], *args: Any) -> None:
    with pytest.raises(SyscallError) as caught:
        function(*args)
    assert caught.value.errno == number


def test_ids_are_stored_and_groups_counted(sys: Sys) -> None:
    sys.setgroups([7, 5])
    sys.setresgid(1, 2, 3)
    sys.setresuid(1000, 1001, 1002)
    at = sys.buffer
    assert sys.syscall(118, at, at + 4, at + 8) == 0
    assert struct.unpack("<3I", sys.load(at, 12)) == (1000, 1001, 1002) == sys.getresuid()
    assert sys.syscall(115, 0, 0) == 2
    assert sys.syscall(115, 1, at) == -errno.EINVAL
    assert sys.syscall(115, 2, at) == 2
    assert struct.unpack("<2I", sys.load(at, 8)) == (5, 7)
    assert (sys.getuid(), sys.geteuid(), sys.getgid(), sys.getegid()) == (1000, 1001, 1, 2)
    refused(errno.EPERM, sys.setgroups, [1])


def test_capget_reads_others_and_tells_its_version(sys: Sys) -> None:
    at = sys.buffer
    other = sys.kernel.spawn(caps=frozenset({"CAP_KILL"}))
    sys.store(at, struct.pack("<Ii", CAP_VERSION, other.pid))
    assert sys.syscall(CAPGET, at, at + 64) == 0
    assert struct.unpack("<6I", sys.load(at + 64, 24))[:3] == (1 << 5, 1 << 5, 1 << 5)
    sys.store(at, struct.pack("<Ii", 77, 0))
    assert sys.syscall(CAPGET, at, 0) == 0
    assert struct.unpack("<I", sys.load(at, 4)) == (CAP_VERSION,)
    sys.store(at, struct.pack("<Ii", CAP_VERSION, 4242))
    assert sys.syscall(CAPGET, at, at + 64) == -errno.ESRCH
    assert sys.syscall(CAPSET, at, at + 64) == -errno.EPERM


def test_access_asks_for_the_real_user_and_open_for_the_effective(sys: Sys) -> None:
    sys.close(sys.open("/tmp/secret", sys.O_CREAT | sys.O_RDWR, 0o600))
    sys.setresuid(1000, 0, 0)
    refused(errno.EACCES, sys.access, "/tmp/secret", 4)
    assert sys.faccessat2(sys.AT_FDCWD, "/tmp/secret", 4, 0x200) == 0
    sys.close(sys.open("/tmp/secret", sys.O_RDONLY, 0))
    sys.setfsuid(1000)
    refused(errno.EACCES, sys.open, "/tmp/secret", sys.O_RDONLY, 0)


def test_a_change_of_user_hides_the_memory(sys: Sys) -> None:
    other = Sys(sys.kernel.spawn(uid=1000, gid=1000))
    at = other.mmap(0, 4096, 3, other.MAP_PRIVATE | other.MAP_ANONYMOUS)
    same = Sys(sys.kernel.spawn(uid=1000, gid=1000))
    assert same.process_vm_readv(other.pid, at, 4) == bytes(4)
    other.task.mm.set(dumpable=0)
    refused(errno.EPERM, same.process_vm_readv, other.pid, at, 4)
    sys.prctl(1, 9)
    sys.setresuid(1000, 1000, 1000)
    assert (sys.prctl(3), sys.task.attributes.pdeath_signal) == (0, 0)


def test_a_new_program_of_root_gets_all_and_of_others_the_ambient(sys: Sys) -> None:
    assert of_program(Credentials.of(0, 0, ALL_CAPS), 0, 0, 0).cred.effective == ALL_CAPS
    some = frozenset({"CAP_KILL", "CAP_CHOWN"})
    kept, secure = of_program(Credentials.of(1000, 1000, some), 1000, 1000, 0)
    assert kept.effective == some and not secure
    left = Credentials.of(0, 0, ALL_CAPS).with_uids(1000, 1000, 1000)
    assert left.effective == of_program(left, 1000, 0, 0).cred.permitted == frozenset()


def test_a_child_inherits_what_linux_says(sys: Sys) -> None:
    sys.prctl(1, 15)
    sys.prctl(29, 777)
    sys.prctl(36, 1)
    child = sys.fork()
    assert child.prctl(30) == 777
    assert child.task.attributes.pdeath_signal == child.task.group.subreaper == 0
    grandchild = child.fork()
    child.exit(0)
    assert grandchild.getppid() == sys.pid  # the subreaper's now
    refused(errno.EINVAL, sys.prctl, 1, 65)
    refused(errno.EINVAL, sys.prctl, 999)
