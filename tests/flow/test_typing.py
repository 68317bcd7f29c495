"""A user's type checker knows every call: it accepts what is right and refuses what is wrong."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

from pkern import Kernel, Sys
from pkern.userland.binding import CONSTANTS, handlers
from pkern.userland.calls import OWN_FORMS
from pkern.userland.cli.pages import stub

ROOT = Path(__file__).parents[2]

PROGRAM = """\
from pathlib import Path

import pkern
from pkern import BusError, Kernel, SegmentationFault, Sys, SyscallError


def main(sys: Sys) -> int:
    fd: int = sys.open(Path("/tmp/data"), sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.write(fd, bytearray(b"x"))
    data: bytes = sys.read(fd, 1)
    addr: int = sys.mmap(0, sys.PAGE_SIZE, sys.PROT_READ, sys.MAP_SHARED, fd=fd)
    size: int = sys.stat(b"/tmp/data").st_size
    pid, status = sys.wait4(-1, sys.WNOHANG)
    child: Sys = sys.fork()
    try:
        data = child.load(addr, size)
    except (SegmentationFault, BusError) as fault:
        print(fault.addr, fault.code)
    except SyscallError as error:
        print(error.errno, error.filename)
    return pid + status


with Kernel(ram="16M") as kernel:
    main(Sys(kernel.spawn()))
done: pkern.Completed = pkern.run("/bin/true", "a", env={"A": "b"}, limits={"NOFILE": 64})
text: bytes = done.out
first: list[pkern.LogRecord] = list(kernel.log.records())[:1]
"""

# Each line is wrong, for the reason that stands behind it.
WRONG = {
    'sys.mmap("0", 4096, 1, 2)': "arg-type",
    "sys.mmap(0, 4096, 1)": "call-arg",
    "sys.mmap(0, 4096, 1, 2, -1, 0, 0)": "call-arg",
    "sys.munmap(0, length=None)": "arg-type",
    "sys.open(5)": "arg-type",
    'sys.write(1, "text")': "arg-type",
    "sys.read(1, 1) + 1": "operator",
    "sys.mmpa(0)": "attr-defined",
    "sys.PROT_RAED": "attr-defined",
    "sys.stat('/').st_szie": "attr-defined",
    "sys.map_shadow_stack()": "attr-defined",
    "pkern.Kernle()": "attr-defined",
    "pkern.run('/bin/true').stdout": "attr-defined",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with the package as it is installed."""
    site = tmp_path / "site" / "pkern"
    site.mkdir(parents=True)
    for file in (ROOT / "pkern").glob("*"):
        if file.is_file():
            (site / file.name).symlink_to(file)
    for floor in ("kernel", "syscalls", "userland"):
        (site / floor).symlink_to(ROOT / floor)
    return site.parent


def test_mypy_accepts_the_right_program_and_refuses_each_wrong_call(
    package: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "right.py").write_text(PROGRAM)
    lines = ["import pkern", "sys = pkern.Sys(pkern.Kernel().spawn())", *WRONG]
    (project / "wrong.py").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-pretty"]
    run = subprocess.run(
        [*command, "--hide-error-context", "right.py", "wrong.py"],
        cwd=project,
        env={"MYPYPATH": str(package), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in run.stdout.splitlines() if ": error: " in line]
    found = {int(line.split(":")[1]): line for line in told if line.startswith("wrong.py")}
    assert [line for line in told if not line.startswith("wrong.py")] == [], run.stdout
    for number, (call, reason) in enumerate(WRONG.items(), start=3):
        assert f"[{reason}]" in found.get(number, "accepted"), (call, run.stdout, run.stderr)


def test_the_stub_is_current() -> None:
    assert (ROOT / stub.PATH).read_text() == stub.stub(), "stale: run `make docs`"


def test_every_call_has_its_signature_and_its_docstring(kernel: Kernel) -> None:
    user = Sys(kernel.spawn())
    for name, handler in handlers().items():
        if name in OWN_FORMS:
            continue
        method = getattr(user, name)
        assert (method.__name__, method.__doc__) == (name, handler.__doc__)
        assert (
            list(inspect.signature(method).parameters)
            == list(inspect.signature(handler).parameters)[1:]
        )
    assert {*handlers(), *CONSTANTS, "load", "store", "touch", "strace"} <= set(dir(user))


def test_help_shows_the_call(kernel: Kernel) -> None:
    text = pydoc.plain(pydoc.render_doc(Sys(kernel.spawn()).mmap))
    assert "mmap(addr: 'int', length: 'int', prot: 'int', flags: 'int', fd: 'int' = -1" in text
    assert "Map length bytes and return the first address (bytes, page aligned)." in text
    assert "mmap(self, addr: 'int'" in pydoc.plain(pydoc.render_doc(Sys))


def test_a_sys_a_task_and_a_vma_say_what_they_are(kernel: Kernel) -> None:
    user = Sys(kernel.spawn("prog"))
    addr = user.mmap(0, 4096, user.PROT_READ, user.MAP_SHARED | user.MAP_ANONYMOUS)
    assert repr(user.task) == "<Task 1 'prog' uid 1000, running>"
    assert repr(user) == "<Sys of <Task 1 'prog' uid 1000, running>>"
    vma = user.task.mm.vma_at(addr)
    assert repr(vma).startswith(f"<Vma {addr:x}-{addr + 4096:x} r--s pgoff 0x0 VM_READ|VM_SHARED|")
    user.exit()
    assert "zombie" in repr(user.task)
