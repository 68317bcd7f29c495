"""The pytest plugin: a fresh kernel for each test that asks, recounted when the test ends.

Fixtures `kernel` and `task`; markers `sysctl`, `boot` and `all_rmaps`; option `--rmap`. A failure's
report shows every task's maps and the kernel's log. Imports the kernel only when a test needs it:
other projects' test runs pay nothing for having pkern installed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

RMAPS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")
BROKEN = pytest.StashKey[
    Iterable[tuple[str, str]]
]()  # the sections of a kernel that a recount failed
MARKERS = (
    'sysctl({"vm.nonlinear": 1}): boot the kernel fixture with these sysctls',
    'boot(ram="16M", ...): boot the kernel fixture with these parameters',
    "all_rmaps: run the test once on every reverse map",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --rmap."""
    group = parser.getgroup("pkern")
    group.addoption(
        "--rmap",
        choices=[*RMAPS, "all"],
        default=RMAPS[0],
        help="reverse map of the kernel fixture, or all: one run of each test on every one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test over the reverse maps, if it or the command line asks for that."""
    if "pkern_rmap" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--rmap")
    every = chosen == "all" or metafunc.definition.get_closest_marker("all_rmaps")
    if every:
        metafunc.parametrize("pkern_rmap", RMAPS, indirect=True)


@pytest.fixture
def pkern_rmap(request: pytest.FixtureRequest) -> str:
    """Return the reverse map that this test's kernel boots with."""
    default: str = request.config.getoption("--rmap")
    return str(getattr(request, "param", default))


@pytest.fixture
def kernel(request: pytest.FixtureRequest, pkern_rmap: str) -> Iterator[Kernel]:
    """Give a fresh kernel; recount every invariant after the test, then look for leaks."""
    from pkern.kernel.errors import KernelBug

    kernel = _boot(request.node, pkern_rmap)
    try:
        yield kernel
        kernel.check()
    except KernelBug:
        request.node.stash[BROKEN] = describe(kernel)
        raise
    finally:
        kernel.close()


def _boot(node: pytest.Item, rmap: str) -> Kernel:
    """Return a kernel booted as the test's markers say; a wrong marker is one sentence."""
    from pkern.kernel.machine import Kernel
    from pkern.userland.cli.boot import boot_complaint

    sysctls = marked_sysctls(node)
    try:
        return Kernel(**{"rmap": rmap, "sysctl": sysctls, **_marked(node, "boot")})
    except (OSError, TypeError, ValueError) as error:
        complaint = boot_complaint(error, sysctls)
    pytest.fail(f"a marker of this test asks for what cannot be: {complaint}", pytrace=False)


@pytest.fixture
def task(kernel: Kernel) -> Task:
    """Give an unprivileged task (uid 1000, no capability) of the kernel."""
    return kernel.spawn()


def marked_sysctls(node: pytest.Item) -> dict[str, int | str]:
    """Return the sysctls of a test's markers; the nearest marker wins."""
    result: dict[str, int | str] = {}
    for marker in reversed(list(node.iter_markers("sysctl"))):
        for argument in marker.args:
            if isinstance(argument, str):
                name, _, value = argument.partition("=")
                result[name.strip()] = value.strip()
            else:
                result.update(argument)
    return result


def _marked(node: pytest.Item, name: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers(name))):
        result.update(marker.kwargs)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the maps and the kernel's log to a failed test's report."""
    report = yield
    kernel: Any = getattr(item, "funcargs", {}).get("kernel")
    if report.failed and call.when == "call" and hasattr(kernel, "tasks"):
        report.sections += describe(kernel)
    if report.failed and call.when == "teardown":
        report.sections += item.stash.get(BROKEN, ())
    return report


def describe(kernel: Kernel) -> list[tuple[str, str]]:
    """Return report sections: each task's maps, and the log."""
    sections = [
        (f"pkern: /proc/{pid}/maps ({task.name})", _maps(task))
        for pid, task in sorted(kernel.tasks.items())
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
