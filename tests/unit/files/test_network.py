"""Sockets with names: what a machine keeps of them, and what it forgets."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
STREAM, DGRAM, SEQPACKET = 1, 2, 5
NONBLOCK, CLOEXEC = 0o4000, 0o2000000
BIND, CONNECT, SENDMSG, RECVMSG = 49, 42, 46, 47
SOL_SOCKET, SCM_RIGHTS = 1, 1


class Caller:
    """A task, and a page of its memory for what its calls point to."""

    def __init__(self, kernel: Kernel, **credentials: object) -> None:
        self.sys = Sys(kernel.spawn(**credentials))  # type: ignore[arg-type]
        self.at = self.sys.mmap(0, 8192, 3, self.sys.MAP_PRIVATE | self.sys.MAP_ANONYMOUS)

    def address(self, nr: int, fd: int, address: bytes) -> int:
        self.sys.store(self.at, address)
        return self.sys.syscall(nr, fd, self.at, len(address))

    def bind(self, fd: int, address: bytes) -> int:
        return self.address(BIND, fd, address)

    def connect(self, fd: int, address: bytes) -> int:
        return self.address(CONNECT, fd, address)

    def name(self, fd: int) -> bytes:
        self.sys.store(self.at, struct.pack("<i", 128))
        self.sys.getsockname(fd, self.at + 64, self.at)
        (length,) = struct.unpack("<i", self.sys.load(self.at, 4))
        return self.sys.load(self.at + 64, length)

    def pass_fd(self, fd: int, passed: int) -> int:
        """Send a byte with a descriptor."""
        self.sys.store(self.at + 512, b"x" + bytes(7))
        self.sys.store(self.at + 256, struct.pack("<QQ", self.at + 512, 1))
        self.sys.store(self.at + 384, struct.pack("<QiiiI", 20, SOL_SOCKET, SCM_RIGHTS, passed, 0))
        header = struct.pack("<7Q", 0, 0, self.at + 256, 1, self.at + 384, 24, 0)
        self.sys.store(self.at, header)
        return self.sys.syscall(SENDMSG, fd, self.at, 0x40)

    def text(self, path: str) -> str:
        fd = self.sys.open(path)
        text = self.sys.read(fd, 1 << 16).decode()
        self.sys.close(fd)
        return text


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel(ram="16M") as kernel:
        yield kernel
        kernel.check()


def unix(name: bytes) -> bytes:
    return struct.pack("<H", UNIX) + name


def inet(port: int, ip: bytes = b"\x7f\0\0\1") -> bytes:
    return struct.pack("<H", INET) + port.to_bytes(2, "big") + ip + bytes(8)


def port_of(name: bytes) -> int:
    return int.from_bytes(name[2:4], "big")


def test_ports_are_given_out_alike_on_every_run() -> None:
    runs = []
    for _ in range(2):
        with Kernel(ram="16M") as kernel:
            caller = Caller(kernel)
            fds = [caller.sys.socket(INET, STREAM) for _ in range(3)]
            assert {caller.bind(fd, inet(0)) for fd in fds} == {0}
            runs.append([port_of(caller.name(fd)) for fd in fds])
    assert runs[0] == runs[1] == [32768, 32769, 32770]


def test_the_range_of_free_ports_is_a_sysctl(machine: Kernel) -> None:
    machine.sysctl["net.ipv4.ip_local_port_range"] = "40000 40001"
    caller = Caller(machine)
    fds = [caller.sys.socket(INET, DGRAM) for _ in range(3)]
    assert [caller.bind(fd, inet(0)) for fd in fds] == [0, 0, -errno.EADDRINUSE]
    assert [port_of(caller.name(fd)) for fd in fds[:2]] == [40000, 40001]
    caller.sys.close(fds[0])
    assert caller.bind(fds[2], inet(0)) == 0


def test_low_ports_want_a_capability(machine: Kernel) -> None:
    caller, root = Caller(machine), Caller(machine, uid=0)
    assert caller.bind(caller.sys.socket(INET, STREAM), inet(80)) == -errno.EACCES
    assert root.bind(root.sys.socket(INET, STREAM), inet(80)) == 0
    machine.sysctl["net.ipv4.ip_unprivileged_port_start"] = 81
    assert caller.bind(caller.sys.socket(INET, STREAM), inet(81)) == 0


def test_a_port_lingers_for_a_minute_of_virtual_time(machine: Kernel) -> None:
    caller = Caller(machine)
    sys = caller.sys
    server, client = sys.socket(INET, STREAM), sys.socket(INET, STREAM)
    caller.bind(server, inet(0))
    port = port_of(caller.name(server))
    sys.listen(server, 1)
    assert caller.connect(client, inet(port)) == 0
    sys.close(sys.accept(server, 0, 0))
    sys.close(client)
    sys.close(server)
    assert " 06 " in caller.text("/proc/net/tcp")
    again = sys.socket(INET, STREAM)
    assert caller.bind(again, inet(port)) == -errno.EADDRINUSE
    sys.nanosleep(61 * 10**9)
    assert caller.bind(again, inet(port)) == 0
    assert " 06 " not in caller.text("/proc/net/tcp")


def test_a_closed_socket_leaves_nothing(machine: Kernel) -> None:
    caller = Caller(machine)
    for family, kinds in ((UNIX, (STREAM, DGRAM, SEQPACKET)), (INET, (STREAM, DGRAM))):
        for kind in kinds:
            fd = caller.sys.socket(family, kind)
            assert caller.bind(fd, unix(b"\0x") if family == UNIX else inet(0)) == 0
            caller.sys.close(fd)
    fd = caller.sys.socket(UNIX, STREAM)
    caller.bind(fd, unix(b"/tmp/s"))
    caller.sys.close(fd)
    net = machine.nsproxy.net.stack
    assert not (net.sockets or net.common.paths or net.abstract or net.tcp.bound or net.udp.bound)
    assert caller.connect(caller.sys.socket(UNIX, STREAM), unix(b"/tmp/s")) == -errno.ECONNREFUSED


def test_who_may_not_write_a_name_may_not_connect_to_it(machine: Kernel) -> None:
    root, user = Caller(machine, uid=0), Caller(machine, uid=1000)
    fd = root.sys.socket(UNIX, STREAM)
    root.bind(fd, unix(b"/tmp/s"))
    root.sys.listen(fd, 1)
    root.sys.chmod("/tmp/s", 0o700)
    assert user.connect(user.sys.socket(UNIX, STREAM), unix(b"/tmp/s")) == -errno.EACCES
    root.sys.chmod("/tmp/s", 0o722)
    assert user.connect(user.sys.socket(UNIX, STREAM), unix(b"/tmp/s")) == 0


def test_files_on_their_way_are_bounded_and_never_lost(machine: Kernel) -> None:
    caller = Caller(machine)
    sys = caller.sys
    sys.setrlimit(sys.RLIMIT_NOFILE, (20, 20))
    one, other = sys.socketpair(UNIX, DGRAM)
    file = sys.memfd_create("passed", 0)
    sent = 0
    while (result := caller.pass_fd(one, file)) == 1:
        sent += 1
    assert (result, sent) == (-errno.ETOOMANYREFS, 21)
    before = machine.vfs.open_files()
    sys.close(file)
    assert machine.vfs.open_files() == before  # a message holds it
    sys.close(one)
    sys.close(other)
    assert not machine.nsproxy.net.common.in_flight
    assert machine.vfs.open_files() == before - 3


def test_what_has_landed_is_taken_from_its_own_sender_s_count(machine: Kernel) -> None:
    """Two users send one file; once the first one's message is read, the second one's flies."""
    caller = Caller(machine, uid=0)
    sys = caller.sys
    one, other = sys.socketpair(UNIX, DGRAM)
    file = sys.memfd_create("passed", 0)
    assert caller.pass_fd(one, file) == 1
    sys.setresuid(1000, 0, 0)
    assert caller.pass_fd(one, file) == 1
    assert sys.read(other, 1) == b"x"
    assert list(machine.nsproxy.net.common.in_flight.values()) == [[1000]]


def test_sockets_that_hold_only_each_other_are_collected(machine: Kernel) -> None:
    caller = Caller(machine)
    sys = caller.sys
    a, b = sys.socketpair(UNIX, STREAM), sys.socketpair(UNIX, STREAM)
    caller.pass_fd(a[0], b[1])
    caller.pass_fd(b[0], a[1])
    listener = sys.socket(UNIX, STREAM)
    caller.bind(listener, unix(b"\0self"))
    sys.listen(listener, 1)
    client = sys.socket(UNIX, STREAM)
    caller.connect(client, unix(b"\0self"))
    caller.pass_fd(client, listener)
    for fd in (*a, *b, listener, client):
        sys.close(fd)
    sys.close(sys.socket(UNIX, STREAM))
    assert not machine.nsproxy.net.common.in_flight and not machine.nsproxy.net.stack.sockets


def test_a_machine_that_ends_drops_what_is_on_its_way() -> None:
    with Kernel(ram="16M") as kernel:
        caller = Caller(kernel)
        a, b = caller.sys.socketpair(UNIX, STREAM), caller.sys.socketpair(UNIX, STREAM)
        caller.pass_fd(a[0], b[1])
        caller.pass_fd(b[0], a[1])
        caller.pass_fd(a[0], caller.sys.memfd_create("lost", 0))
    assert not kernel.nsproxy.net.common.in_flight


def test_proc_net_tells_of_each_socket(machine: Kernel) -> None:
    caller = Caller(machine)
    sys = caller.sys
    tcp, udp, six = sys.socket(INET, STREAM), sys.socket(INET, DGRAM), sys.socket(INET6, DGRAM)
    caller.bind(tcp, inet(0x1234))
    sys.listen(tcp, 7)
    caller.bind(udp, inet(0x2345))
    caller.bind(six, struct.pack("<H", INET6) + b"\x34\x56" + bytes(4 + 15) + b"\1" + bytes(4))
    name = sys.socket(UNIX, STREAM)
    caller.bind(name, unix(b"\0abstract"))
    netlink = sys.socket(NETLINK, DGRAM)
    caller.bind(netlink, struct.pack("<HHII", NETLINK, 0, 0, 0))
    assert "0: 0100007F:1234 00000000:0000 0A" in caller.text("/proc/self/net/tcp")
    assert "0100007F:2345 00000000:0000 07" in caller.text("/proc/net/udp")
    assert "00000000000000000000000001000000:3456" in caller.text("/proc/net/udp6")
    assert caller.text("/proc/net/unix").endswith(" @abstract\n")
    assert f" 0   {sys.pid} " in caller.text("/proc/net/netlink")
    assert "TCP: inuse 1 " in caller.text("/proc/net/sockstat")
    assert len({len(line) for line in caller.text("/proc/net/tcp").splitlines()}) == 1


def test_the_loopback_counts_what_goes_over_it(machine: Kernel) -> None:
    caller = Caller(machine)
    fd = caller.sys.socket(INET, DGRAM)
    caller.bind(fd, inet(0x2345))
    caller.connect(fd, inet(0x2345))
    caller.sys.send(fd, bytes(100))
    assert caller.sys.recv(fd, 200) == bytes(100)
    assert caller.text("/proc/net/dev").splitlines()[2].split()[1:3] == ["142", "1"]
