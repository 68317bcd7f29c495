"""`pytest --pkern-branch`: each test runs in a copy of a machine that has been booted already.

Owns the machines that are booted for copies: one for all tests whose markers ask for the same. A
test that uses a machine is run, with its fixtures, in the copy's process; the reports come back
from there. A process that ends in the middle fails its test and no other. What a copy changes of
Python's own objects is gone with it: fixtures of wider scope are set up in every copy that asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from pkern.kernel.branch import BranchEnded
from pkern.userland.harness import import_all_calls
from pkern.userland.machine_code import boot_scheduler

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

Wanted = dict[str, Any]  # parameters of Kernel


class Branches:
    """The machines of a test run, and the hook that runs tests in copies of them.

    wanted: what a test's markers boot a machine with. boot: does so; None: they ask for what cannot
    be, which the test says by itself.
    """

    def __init__(
        self,
        config: pytest.Config,
        wanted: Callable[[pytest.Item], Wanted],
        boot: Callable[[Wanted], Kernel | None],
    ) -> None:
        if config.getoption("usepdb", default=False):
            raise pytest.UsageError("--pkern-branch: a debugger cannot be in another process")
        self._wanted = wanted
        self._boot = boot
        self._booted: dict[str, Kernel | None] = {}
        self.here: Kernel | None = None  # in a copy: its machine, until a fixture has taken it

    def take(self) -> Kernel | None:
        """Return the machine of this copy, the first time; None: boot one."""
        kernel, self.here = self.here, None
        return kernel

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run a test that uses a machine in a copy of one."""
        kernel = self._machine(item)
        if kernel is None:
            return None
        _make_folder(item.config)
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(kernel, item):
            item.ihook.pytest_runtest_logreport(report=report)
        # What tests before it have set up here, and the next one does not want.
        item.session._setupstate.teardown_exact(nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _machine(self, item: pytest.Item) -> Kernel | None:
        names = getattr(item, "fixturenames", ())
        if "pkern_machine" not in names:
            return None
        runs_programs = "pkern_program" in names
        wanted = self._wanted(item)
        key = repr((sorted(wanted.items()), runs_programs))
        if key not in self._booted:
            self._booted[key] = kernel = self._boot(wanted)
            if kernel is not None:
                import_all_calls()
            if kernel is not None and runs_programs:
                boot_scheduler(kernel)
        return self._booted[key]

    def _reports(self, kernel: Kernel, item: pytest.Item) -> list[pytest.TestReport]:
        try:
            told = kernel.branch(self._run, item).result()
        except BranchEnded as error:
            return [_failed(item, str(error))]
        read = item.config.hook.pytest_report_from_serializable
        return [read(config=item.config, data=data) for data in told]

    def _run(self, kernel: Kernel, item: pytest.Item) -> list[dict[str, Any]]:
        self.here = kernel
        write = item.config.hook.pytest_report_to_serializable
        reports = runtestprotocol(item, log=False)
        return [write(config=item.config, report=report) for report in reports]

    def pytest_unconfigure(self) -> None:
        """Close the machines."""
        for kernel in self._booted.values():
            if kernel is not None:
                kernel.close()
        self._booted.clear()


def _make_folder(config: pytest.Config) -> None:
    """Let all copies have one folder for their tmp_path."""
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        factory.getbasetemp()


def _failed(item: pytest.Item, text: str) -> pytest.TestReport:
    return pytest.TestReport(
        item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed", text, "call"
    )
