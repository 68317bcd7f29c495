"""What is imported late: the declarations are true, and an import is whole whatever comes."""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import cache_from_source, module_from_spec
from pathlib import Path

import pytest

from pkern.finder import Finder, Read
from pkern.kernel import late
from pkern.kernel.late import LateTable
from pkern.syscalls import ROOMS, TABLE, abi
from pkern.syscalls.files.fcntl import OF_INODES

INTERRUPTED = """\
import os, signal
os.kill(os.getpid(), signal.{signal})
for _ in range(1000):
    pass
whole = True
"""


@pytest.fixture
def raising_alarm() -> Iterator[None]:
    def ring(signo: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.signal(signal.SIGALRM, before)


def handlers() -> list[object]:
    return [signal.getsignal(signo) for signo in late.RAISING]


@pytest.mark.parametrize("name", ["SIGINT", "SIGALRM"])
def test_an_import_is_whole_before_a_signal_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raising_alarm: None, name: str
) -> None:
    (tmp_path / f"late_{name}.py").write_text(INTERRUPTED.format(signal=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = handlers()
    with pytest.raises(KeyboardInterrupt):
        late.load(f"late_{name}")
    assert sys.modules[f"late_{name}"].whole
    assert handlers() == before


def test_an_import_in_another_thread_leaves_signals_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_thread.py").write_text("whole = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = handlers()
    thread = threading.Thread(target=late.load, args=("late_thread",))
    thread.start()
    thread.join()
    assert sys.modules["late_thread"].whole
    assert handlers() == before


def test_an_import_that_fails_leaves_signals_as_they_were() -> None:
    before = handlers()
    with pytest.raises(ModuleNotFoundError):
        late.load("pkern.no_such_module")
    assert handlers() == before


def test_a_table_takes_what_was_declared_and_nothing_else() -> None:
    table: LateTable[int, str] = LateTable()
    table.declare({1: "here", 2: "there"})
    assert (len(table), list(table), 1 in table, 3 in table) == (2, [1, 2], True, False)
    assert table.get(3) is None
    with pytest.raises(ValueError, match="twice"):
        table.declare({2: "elsewhere"})
    with pytest.raises(ValueError, match="belongs to there"):
        table.enter(2, "two", "here")
    with pytest.raises(ValueError, match="belongs to None"):
        table.enter(3, "three", "here")
    table.enter(1, "one", "here")
    assert table[1] == "one"


# Each room by itself, as the first call of a program may ask for it: what it enters.
ALONE = """\
import json, sys
from pkern import syscalls
assert not [name for name in sys.modules if name.startswith("pkern.kernel.vfs")], "a room came"
entered = {}
for room in syscalls.ROOMS:
    for name in [name for name in sys.modules if name.startswith("pkern.syscalls.")]:
        if name.removeprefix("pkern.syscalls.") not in ("table", "numbers"):
            del sys.modules[name]
    syscalls.TABLE._entries.clear()
    __import__(f"pkern.syscalls.{room}")
    made = syscalls.TABLE._entries.values()
    entered[room] = [c.name for c in made if c.handler.__module__ == f"pkern.syscalls.{room}"]
print(json.dumps(entered))
"""


def test_each_room_comes_alone_and_holds_what_is_declared() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    entered = {room: set(names) for room, names in json.loads(done.stdout).items()}
    assert entered == {room: set(names.split()) for room, names in ROOMS.items()}


def test_each_ioctl_of_an_inode_is_where_it_is_declared() -> None:
    assert all(callable(handler) for handler in OF_INODES.values())
    assert len(OF_INODES) == 6


def test_a_handler_takes_its_place_at_the_first_call() -> None:
    getpid = next(nr for nr, call in TABLE.items() if call.name == "getpid")
    calls = abi.raw_calls()

    class Task:
        tgid = pid = 7

        def number_of(self, number: int) -> int:
            return number

    first = calls[getpid]
    assert first(Task(), 0, 0, 0, 0, 0, 0) == 7
    assert calls[getpid] is not first
    assert calls[getpid](Task(), 0, 0, 0, 0, 0, 0) == 7
    assert calls.keys() == TABLE.keys()


# Files of the host until there is no descriptor for one more; then something is imported.
FULL = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from pkern import Kernel, SyscallError
from pkern.kernel import late
from pkern.kernel.vfs.fs.hostfs import HostFs
with Kernel(ram="16M") as kernel:
    kernel.vfs.mount("/mnt", HostFs(sys.argv[1]))
    task = kernel.spawn(uid=0)
    try:
        for number in range(64):
            kernel.vfs.resolve(task, f"/mnt/{number}")
    except SyscallError as error:
        assert error.errno == 23, error
        assert number > 32
        assert "colorsys" not in sys.modules
        print(late.load("colorsys").__name__)
"""


def test_files_of_the_host_leave_descriptors_to_import_with(tmp_path: Path) -> None:
    for number in range(64):
        (tmp_path / str(number)).write_text("text")
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("colorsys\n", "")


def found(folder: Path, name: str = "pkern.room.made") -> ModuleSpec | None:
    return Finder.find_spec(name, [str(folder)])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A module whose bytecode is as `make build` leaves it."""
    source = tmp_path / "made.py"
    source.write_text("def where():\n    return where.__code__.co_filename\n")
    assert compileall.compile_dir(tmp_path, quiet=1, ddir="elsewhere")
    return source


@pytest.mark.parametrize("package", [False, True])
def test_the_command_finds_modules_as_importlib_does(made: Path, package: bool) -> None:
    folder = made.parent
    if package:
        made = folder / "made/__init__.py"
        made.parent.mkdir()
        (folder / "made.py").rename(made)
        compileall.compile_dir(made.parent, quiet=1)
    spec = found(folder)
    usual = FileFinder(str(folder), (SourceFileLoader, [".py"])).find_spec("made")
    assert isinstance(spec, ModuleSpec) and isinstance(spec.loader, Read)
    assert usual is not None
    for attribute in ("origin", "cached", "submodule_search_locations", "has_location", "parent"):
        expected = getattr(usual, attribute)
        if attribute == "parent":
            expected = "pkern.room.made" if package else "pkern.room"
        assert getattr(spec, attribute) == expected
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.where() == module.__file__ == str(made)
    assert spec.loader.get_source("pkern.room.made") == made.read_text()


OLDER, LONGER, OF_SOURCE, OTHER, NONE = range(5)


@pytest.mark.parametrize("wrong", [OLDER, LONGER, OF_SOURCE, OTHER, NONE])
def test_bytecode_that_may_not_be_of_its_source_is_left_to_importlib(
    made: Path, wrong: int
) -> None:
    assert found(made.parent) is not None
    cached = Path(cache_from_source(str(made)))
    if wrong == OLDER:
        os.utime(made, (1, 1))
    elif wrong == LONGER:
        told = made.stat()
        made.write_text(made.read_text() + "#")
        os.utime(made, ns=(told.st_atime_ns, told.st_mtime_ns))
    elif wrong == OF_SOURCE:
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        py_compile.compile(str(made), invalidation_mode=mode)
    elif wrong == OTHER:
        cached.write_bytes(b"\0" + cached.read_bytes()[1:])
    else:
        cached.unlink()
    assert found(made.parent) is None


def test_what_is_not_pkerns_is_left_to_importlib(made: Path) -> None:
    assert found(made.parent, "made") is None
    assert found(made.parent, "other.made") is None
