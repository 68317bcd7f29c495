"""The pytest plugin: a fresh machine for each test that asks, recounted when the test ends.

Loaded in every test run of an environment that has pkern, so it takes no name from a project but
those that begin with pkern: fixtures and markers `pkern_*`, options `--pkern-*`. A project that
asks pkern.fixtures gets the short ones. Nothing of pkern is imported before a test needs it.
A failure's report shows the test's own frames, then each task's maps and the kernel's log.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.userland.given import Limit
    from pkern.userland.program import Sys
    from pkern.userland.pytest_branch import Branches
    from pkern.userland.runner import Completed

RMAPS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")
MARKERS = {
    "sysctl": '({"vm.nonlinear": 1}): boot the machine with these sysctls',
    "boot": '(ram="16M", ...): boot the machine with these parameters of Kernel',
    "all_rmaps": ": run the test once on every reverse map",
}
LONG = "pkern_"
SHORT = "pkern.fixtures"  # the module that gives the short names

Section = tuple[str, str]


class Program:
    """A program in machine code, to be run on the test's machine as often as one likes."""

    def __init__(self, kernel: Kernel, path: str | os.PathLike[str], ends: list[Completed]) -> None:
        self._kernel = kernel
        self._ends = ends
        self.path = path

    def run(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes | str = b"",
        cwd: str | None = None,
        uid: int = 1000,
        limits: Mapping[str, Limit] | None = None,
        **more: Any,
    ) -> Completed:
        """Run the program to its end: status, signal, out, err, log, maps and more.

        argv: the arguments after its name. limits: by setrlimit(2)'s names, {"AS": 1 << 30}.
        more: whatever else pkern.run takes (timeout, wall, root, overlay, binds, strace, caps).
        Errors: those of pkern.run.
        """
        from pkern.userland.runner import run

        end = run(
            self.path,
            *argv,
            env=env,
            stdin=stdin,
            cwd=cwd,
            uid=uid,
            limits=limits,
            kernel=self._kernel,
            **more,
        )
        self._ends.append(end)
        return end


# Modules whose TypeErrors are about what a test has passed.
LOOK_AT_ARGUMENTS = ("pkern.kernel.arguments", "pkern.userland.binding")
BRANCHES: pytest.StashKey[Branches] = pytest.StashKey()  # of --pkern-branch
MACHINE = pytest.StashKey["Kernel"]()
ENDS = pytest.StashKey["list[Completed]"]()  # of the programs that the test ran
BROKEN = pytest.StashKey["list[Section]"]()  # what was left of a machine that a recount failed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --pkern-rmap and --pkern-branch."""
    group = parser.getgroup("pkern")
    group.addoption(
        "--pkern-rmap",
        choices=[*RMAPS, "all"],
        default=RMAPS[0],
        help="reverse map of the machine, or all: one run of each test on every one",
    )
    group.addoption(
        "--pkern-branch",
        action="store_true",
        help="run each test that has a machine in a process of its own, a copy of one booted",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for prefix in _prefixes(config):
        for name, text in MARKERS.items():
            config.addinivalue_line("markers", f"{prefix}{name}{text}")
    if config.getoption("--pkern-branch"):
        from pkern.userland.pytest_branch import Branches

        config.stash[BRANCHES] = branches = Branches(
            config, lambda item: _wanted(item, _rmap_of(item)), _booted
        )
        config.pluginmanager.register(branches)


def _prefixes(config: pytest.Config) -> tuple[str, ...]:
    """Return what the markers' names begin with: the short ones only where they are asked for."""
    return (LONG, "") if config.pluginmanager.has_plugin(SHORT) else (LONG,)


def _marks(node: pytest.Item, name: str) -> list[pytest.Mark]:
    """Return the markers of this name, the nearest last."""
    names = [prefix + name for prefix in _prefixes(node.config)]
    return [mark for mark in reversed(list(node.iter_markers())) if mark.name in names]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test over the reverse maps, if it or the command line asks for that."""
    if "pkern_rmap" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--pkern-rmap")
    if chosen == "all" or _marks(metafunc.definition, "all_rmaps"):
        metafunc.parametrize("pkern_rmap", RMAPS, indirect=True)


# ---- fixtures ----


@pytest.fixture
def pkern_rmap(request: pytest.FixtureRequest) -> str:
    """Return the reverse map that this test's machine boots with."""
    default: str = request.config.getoption("--pkern-rmap")
    return str(getattr(request, "param", default))


@pytest.fixture
def pkern_machine(request: pytest.FixtureRequest, pkern_rmap: str) -> Iterator[Kernel]:
    """Give a fresh machine (a pkern.Kernel); recount it after the test, then look for leaks."""
    from pkern.kernel.errors import KernelBug

    node = request.node
    kernel = node.stash[MACHINE] = _machine_of(node, pkern_rmap)
    try:
        yield kernel
        kernel.check()
    except KernelBug:
        node.stash[BROKEN] = describe(kernel)
        raise
    finally:
        del node.stash[MACHINE]
        kernel.close()


@pytest.fixture
def pkern_user(pkern_machine: Kernel) -> Sys:
    """Give the system calls of an unprivileged task of the machine (uid 1000, no capability)."""
    from pkern.userland.program import Sys

    return Sys(pkern_machine.spawn("user"))


@pytest.fixture
def pkern_root(pkern_machine: Kernel) -> Sys:
    """Give the system calls of a task of the machine that is root: uid 0, every capability."""
    from pkern.userland.program import Sys

    return Sys(pkern_machine.spawn("root", uid=0, gid=0))


@pytest.fixture
def pkern_program(request: pytest.FixtureRequest, pkern_machine: Kernel) -> Any:
    """Give a function: the path of a program (x86-64 ELF) -> what runs it on the machine.

    pkern_program(path).run(*argv, env=, stdin=, cwd=, uid=, limits=) returns a pkern.Completed.
    """
    ends: list[Completed] = []
    request.node.stash[ENDS] = ends

    def program(path: str | os.PathLike[str]) -> Program:
        return Program(pkern_machine, path, ends)

    return program


def _rmap_of(node: pytest.Item) -> str:
    """Return the reverse map that the fixture pkern_rmap will have, before there are fixtures."""
    usual = node.config.getoption("--pkern-rmap")
    parameters = getattr(getattr(node, "callspec", None), "params", {})
    return str(parameters.get("pkern_rmap", usual))


def _wanted(node: pytest.Item, rmap: str) -> dict[str, Any]:
    """Return the parameters of the machine that a test's markers ask for."""
    wanted: dict[str, Any] = {"rmap": rmap, "sysctl": marked_sysctls(node)}
    for mark in _marks(node, "boot"):
        if mark.args:
            _refuse(f"{mark.name} takes parameters by their names, as ram='16M'")
        wanted.update(mark.kwargs)
    return wanted


def _refuse(complaint: str) -> NoReturn:
    pytest.fail(f"a marker of this test asks for what cannot be: {complaint}", pytrace=False)


def _refuse_unknown(node: pytest.Item) -> None:
    """Refuse a marker that begins as ours do and is none."""
    from pkern.kernel.arguments import did_you_mean

    known = [LONG + name for name in MARKERS]
    for mark in node.iter_markers():
        if mark.name.startswith(LONG) and mark.name not in known:
            _refuse(f"there is no {mark.name}{did_you_mean(mark.name, known)}")


def _machine_of(node: pytest.Item, rmap: str) -> Kernel:
    """Return the machine that a test has: a copy, or one booted for it."""
    _refuse_unknown(node)
    branches = node.config.stash.get(BRANCHES, None)
    kernel = None if branches is None else branches.take()
    return _boot(_wanted(node, rmap)) if kernel is None else kernel


def _boot(wanted: dict[str, Any]) -> Kernel:
    """Return a machine booted as a test's markers say; a wrong marker is one sentence."""
    from pkern.kernel.machine import Kernel
    from pkern.userland.complaints import boot_complaint

    try:
        return Kernel(**wanted)
    except (MemoryError, OSError, TypeError, ValueError) as error:
        complaint = boot_complaint(error, wanted)
    _refuse(complaint)


def _booted(wanted: dict[str, Any]) -> Kernel | None:
    """As _boot; None where it cannot be, which the test is to say."""
    try:
        return _boot(wanted)
    except pytest.fail.Exception:
        return None


def marked_sysctls(node: pytest.Item) -> dict[str, int | str]:
    """Return the sysctls of a test's markers; the nearest marker wins."""
    result: dict[str, int | str] = {}
    for mark in _marks(node, "sysctl"):
        for argument in mark.args:
            if isinstance(argument, str):
                name, _, value = argument.partition("=")
                result[name.strip()] = value.strip()
            else:
                result.update(argument)
    return result


# ---- what a failure shows ----


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave the test's own frames in a failure's traceback, and add the maps and the log."""
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        _leave_own_frames(call.excinfo.value)
    report = yield
    if report.failed:
        for name, text in _sections(item, call.when):
            _add_section(report, name, text)
    return report


def _leave_own_frames(error: BaseException) -> None:
    """Take pkern's frames out of the traceback of an error that a program of pkern's may expect.

    Any other error that leaves pkern is a fault in it: its frames are what one wants to see.
    """
    errors = sys.modules.get("pkern.kernel.errors")  # not there: pkern has raised nothing
    if errors is None:
        return
    expected = (errors.MemoryFault, errors.TaskKilled, errors.KernelPanic, OSError, ValueError)
    if error.__traceback__ is None:
        return
    if not isinstance(error, expected) and not _is_told(error, error.__traceback__):
        return
    error.__traceback__ = _without_pkern(error.__traceback__)


def _is_told(error: BaseException, first: TracebackType) -> bool:
    """Tell whether an error says what programs wait for, or what of pkern's is used wrongly."""
    last = first
    while last.tb_next is not None:
        last = last.tb_next
    frame = last.tb_frame
    raised_in = frame.f_globals.get("__name__")
    return (
        type(error).__name__ == "Deadlock"
        or (isinstance(error, TypeError) and raised_in in LOOK_AT_ARGUMENTS)
        or (isinstance(error, AttributeError) and frame.f_code.co_name == "__getattr__")
    )


def _without_pkern(first: TracebackType) -> TracebackType:
    """Return the traceback without pkern's frames and those of Python's behind them.

    One that has no others stays as it is.
    """
    frames = []
    inside = False
    here: TracebackType | None = first
    while here is not None:
        inside = _is_of_pkern(here) or (inside and _is_of_python(here))
        if not inside:
            frames.append(here)
        here = here.tb_next
    if not frames:
        return first
    for frame, following in zip(frames, [*frames[1:], None], strict=True):
        frame.tb_next = following
    return frames[0]


def _is_of_pkern(entry: TracebackType) -> bool:
    """Tell whether a frame is of a module of pkern's, or of one of Sys' generated methods."""
    frame = entry.tb_frame
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0] == "pkern" or frame.f_code.co_filename.startswith("<pkern ")


def _is_of_python(entry: TracebackType) -> bool:
    """Tell whether a frame is of a module that comes with Python."""
    module: str = entry.tb_frame.f_globals.get("__name__", "")
    return module.partition(".")[0] in sys.stdlib_module_names


def _sections(item: pytest.Item, when: str) -> list[Section]:
    if when == "teardown":
        return item.stash.get(BROKEN, [])
    kernel = item.stash.get(MACHINE, None)
    if kernel is None:
        return []
    return [*_describe_ends(item.stash.get(ENDS, [])), *describe(kernel)]


def _add_section(report: pytest.TestReport, name: str, text: str) -> None:
    """Put a section behind the traceback, which JUnit's file has too."""
    failure: Any = report.longrepr
    if hasattr(failure, "addsection"):
        failure.addsection(name, text)
    else:  # a failure of words only
        report.longrepr = f"{report.longreprtext}\n\n{name}:\n{text}"


def _describe_ends(ends: list[Completed]) -> list[Section]:
    """Describe the last program that the test ran."""
    if not ends:
        return []
    end = ends[-1]
    how = f"killed by {end.signal.name}" if end.signal else f"status {end.status}"
    sections = [(f"pkern: {' '.join(end.argv)}: {how}; its maps at the end", end.maps)]
    if end.err:
        text = end.err.decode(errors="replace")
        sections.append(("pkern: what it wrote to standard error", text))
    return sections


def describe(kernel: Kernel) -> list[Section]:
    """Return report sections: each task's maps, and the log."""
    sections = [
        (f"pkern: /proc/{task.tgid}/maps ({task.name})", _maps(task))
        for task in sorted(kernel.tasks.processes(), key=lambda task: task.tgid)
    ]
    sections.append(("pkern: kernel log", "\n".join(kernel.log.lines())))
    return sections


def _maps(task: Task) -> str:
    """Return the text of the task's maps, or why there is none: a report must not fail."""
    from pkern.userland.program import Sys

    sys = Sys(task)
    try:
        descriptor = sys.open("/proc/self/maps", sys.O_RDONLY, 0)
        chunks = iter(lambda: sys.read(descriptor, 65536), b"")
        text = b"".join(chunks).decode()
        sys.close(descriptor)
        return text
    except Exception as error:  # whatever broke the test may have broken this too
        return f"(no maps: {error!r})"
