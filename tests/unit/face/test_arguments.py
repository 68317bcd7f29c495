"""Whatever a Python program hands to a call: Linux's errno, or a TypeError that names the argument.

Every call, every argument, every odd value, in a fresh child; the machine is recounted at the end.
"""

from __future__ import annotations

import errno
import os
import pathlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from pkern import Kernel, SegmentationFault, Sys, SyscallError, TaskKilled
from pkern.userland import binding
from pkern.userland.binding import Parameter, Sort
from pkern.userland.calls import OWN_FORMS

PAGE = 4096
BASE = 0x1000_0000
ODD: tuple[Any, ...] = (
    *(-1, 0, 1 << 31, -1 << 31, 1 << 63, -1 << 63, (1 << 63) - 1, (1 << 64) - 1, True),
    *(1 << 64, -1 << 64, 1 << 300, "x", b"x", b"\xff/x", "a\0b", b"a\0b", "\ud800", "y" * 5000),
    *(None, 1.5, 2 + 3j, [], [1], (1, 2), (1, 2, 3), [(1, 2)], [None], ((1, 2), (3, 4)), {}),
    *(object(), len, pathlib.Path("/tmp/f"), bytearray(b"x"), memoryview(b"x"), float("nan")),
)
SANE: dict[Sort, Any] = {
    Sort.WORD: BASE,
    Sort.CINT: 3,
    Sort.LONG: 1,
    Sort.TEXT: "/tmp/f",
    Sort.TEXT_OR_NONE: "/tmp/f",
    Sort.DATA: b"x",
    Sort.WORDS: [1],
    Sort.PAIR: (1, 1),
    Sort.PAIR_OR_NONE: (1, 1),
    Sort.TEXTS: ["x"],
    Sort.PAIRS: [(3, 1)],
    Sort.TIMES: ((1, 0), (1, 0)),
    Sort.ACTION: 0,
    Sort.ANY: 0,
}
SENDERS = {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "prlimit64"}
FORMS = {n: f for n, f in sorted(binding.handlers().items()) if n not in OWN_FORMS}


def furnished(kernel: Kernel) -> Sys:
    """Return a task of root's with four descriptors, a file and four pages."""
    sys = Sys(kernel.spawn("mother", uid=0, gid=0))
    for _ in range(3):
        sys.open("/dev/null", sys.O_RDWR)
    sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.mmap(BASE, 4 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED)
    return sys


@pytest.fixture(scope="module")
def mother() -> Iterator[Sys]:
    with Kernel(ram="16M", sysctl={"vm.nonlinear": 1}) as kernel:
        yield furnished(kernel)
        kernel.check()


@pytest.fixture
def root(kernel: Kernel) -> Sys:
    return furnished(kernel)


def _sane(parameter: Parameter) -> Any:
    return parameter.default[0] if parameter.default else SANE[parameter.sort]


class Children:
    """Children that make one call each way; a new one takes the place of one that has ended."""

    def __init__(self, mother: Sys, name: str) -> None:
        self.mother = mother
        self.name = name
        self.child: Sys | None = None

    def _living(self) -> Sys:
        if self.child is None or not self.child.task.alive:
            self.reap()
            self.child = self.mother.fork()
            if self.name in SENDERS:
                self.child.setuid(1000)  # or it ends its mother
        return self.child

    def make(self, arguments: list[Any]) -> TypeError | None:
        """Make the call; return the TypeError, if that is the answer."""
        try:
            getattr(self._living(), self.name)(*arguments)
        except SyscallError as error:
            assert error.errno in errno.errorcode
        except TypeError as error:
            return error
        except TaskKilled:
            pass
        return None

    def reap(self) -> None:
        """End what there is."""
        if self.child is not None:
            self.child.exit()
        with suppress(ChildProcessError):
            while self.mother.wait4(-1, self.mother.WNOHANG)[0]:
                pass


@pytest.mark.parametrize("name", FORMS)
def test_odd_values_are_linuxs_errno_or_a_type_error_that_names_them(
    mother: Sys, name: str
) -> None:
    children, takes = Children(mother, name), binding.parameters(name, FORMS[name])
    for place, parameter in enumerate(takes):
        for value in ODD:
            arguments = [_sane(p) for p in takes]
            arguments[place] = value
            refused = children.make(arguments)
            if refused is not None:
                assert f"{name}() argument '{parameter.name}' " in str(refused), value
    children.reap()


def test_one_argument_too_many_or_too_few_names_the_call(mother: Sys) -> None:
    for name, form in FORMS.items():
        takes = binding.parameters(name, form)
        with pytest.raises(TypeError, match=rf"{name}\(\) takes no argument.*: 1 too many"):
            getattr(mother, name)(*(_sane(p) for p in takes), 5)
        needed = [p for p in takes if not p.default]
        if needed:
            with pytest.raises(TypeError, match=rf"{name}\(\) missing .* '{needed[-1].name}'"):
                getattr(mother, name)(*(_sane(p) for p in needed[:-1]))


class Convertible:
    """What C's binding would take for an integer, and Python does not."""

    def __int__(self) -> int:
        return PAGE


@pytest.mark.parametrize("name", sorted(binding.TO_CORE))
def test_what_is_called_in_loops_takes_integers_alone(root: Sys, name: str) -> None:
    call, takes = getattr(root, name), binding.parameters(name, FORMS[name])
    well = {"flags": root.MAP_PRIVATE | root.MAP_ANONYMOUS, "prot": 0, "pgoff": 0, "length": PAGE}
    arguments = {p.name: well.get(p.name, _sane(p)) for p in takes}
    for parameter in takes:
        for odd in (Convertible(), 1.0, "1", 1 << 64):
            with pytest.raises(TypeError, match=rf"{name}\(\) argument '{parameter.name}' "):
                call(**arguments | {parameter.name: odd})


def test_numbers_too_large_for_a_glance_are_looked_at(root: Sys) -> None:
    root.ftruncate(3, (1 << 31) + PAGE)
    root.pwrite64(3, b"far", 1 << 31)
    for fd in (3, (1 << 32) + 3):
        at = root.mmap(0, PAGE, 1, root.MAP_SHARED, fd, 1 << 31)
        assert root.load(at, 3) == b"far"
    with pytest.raises(SyscallError, check=lambda e: e.errno == errno.EINVAL):
        root.munmap(-PAGE, PAGE)


def test_a_path_is_text_bytes_or_a_path(root: Sys) -> None:
    for path in ("/tmp/f", b"/tmp/f", pathlib.PurePosixPath("/tmp/f")):
        fd = root.open(path)
        root.close(fd)
    root.mkdir(b"/tmp/\xff")
    assert os.fsencode("\udcff") == b"\xff"
    assert "\udcff" in root.listdir("/tmp")


def test_negative_numbers_are_registers(root: Sys) -> None:
    with pytest.raises(SyscallError, check=lambda e: e.errno == errno.EBADF):
        root.close(-1)
    with pytest.raises(SyscallError, check=lambda e: e.errno == errno.ENOMEM):
        root.mmap(0, -PAGE, 3, root.MAP_PRIVATE | root.MAP_ANONYMOUS)
    with pytest.raises(SyscallError, check=lambda e: e.errno == errno.EINVAL):
        root.pread64(3, 1, -1)
    assert root.lseek(3, 10) == 10
    assert root.lseek(3, -4, root.SEEK_CUR) == 6
    assert root.lseek((1 << 32) + 3, 0) == 0  # a descriptor is the low half of its register


def test_loads_and_stores_of_odd_ranges(root: Sys) -> None:
    with pytest.raises(SegmentationFault):
        root.load(-1, 1)
    with pytest.raises(SegmentationFault):
        root.load(BASE, 1 << 60)
    with pytest.raises(SegmentationFault):
        root.touch(BASE, 1 << 60)
    for call, arguments, name in (
        (root.load, (BASE, -1), "nbytes"),
        (root.load, ("x", 1), "addr"),
        (root.load, (1 << 64, 1), "addr"),
        (root.touch, (BASE, 1.5), "nbytes"),
        (root.store, (BASE, "text"), "data"),
        (root.store, (None, b"x"), "addr"),
        (root.syscall, ("mmap",), "nr"),
        (root.exit, ("1",), "status"),
        (root.pkey_get, (None,), "pkey"),
        (root.pkey_set, (1, "w"), "rights"),
        (root.syscall, (0, 1, "x"), "register 2"),
    ):
        with pytest.raises(TypeError, match=f"argument '{name}' "):
            call(*arguments)  # type: ignore[operator]
    with pytest.raises(TypeError, match="six registers, not 7"):
        root.syscall(0, 1, 2, 3, 4, 5, 6, 7)


def test_a_misspelt_call_is_guessed(root: Sys) -> None:
    with pytest.raises(AttributeError, match=r"'mmpa'; did you mean mmap\?"):
        root.mmpa(0)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"'kernal'; did you mean kernel\?"):
        root.kernal  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"did you mean PROT_READ\?"):
        root.PROT_RAED  # type: ignore[attr-defined]  # noqa: B018


def test_the_paths_of_a_call_are_its_errors_filenames(root: Sys) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        root.open("/tmp/absent")
    assert (caught.value.filename, caught.value.filename2) == ("/tmp/absent", None)
    with pytest.raises(FileNotFoundError) as caught:
        root.rename("/tmp/absent", "/tmp/b")
    assert (caught.value.filename, caught.value.filename2) == ("/tmp/absent", "/tmp/b")
    with pytest.raises(PermissionError):
        Sys(root.kernel.spawn()).mkdir("/x")
    with pytest.raises(ChildProcessError):
        Sys(root.kernel.spawn()).wait4()
    with pytest.raises(BlockingIOError):
        root.read(root.pipe2(root.O_NONBLOCK)[0], 1)
    with pytest.raises(ProcessLookupError):
        root.kill(9999, 0)
    with pytest.raises(InterruptedError):
        root.pause()


def test_a_call_is_bound_when_it_is_used(kernel: Kernel) -> None:
    """A fork makes a Sys: were each call bound then, it would cost ten times as much."""
    sys = Sys(kernel.spawn())
    assert not vars(sys).keys() & FORMS.keys()
    assert sys.getppid() == Sys.getppid(sys)
    assert sys.getppid is sys.getppid
    assert vars(sys).keys() & FORMS.keys() == {"getppid"}
