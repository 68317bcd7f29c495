"""Shared by all tests: pkern's fixtures, Hypothesis's profile, what a run says of its host."""

import gc

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests import host

pytest_plugins = ["pkern.fixtures"]

# Derandomised: a failure seen once is seen again, here and in CI.
settings.register_profile(
    "pkern",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("pkern")
# Nor does it draw the numbers that it finds in the sources of all modules there are: which these
# are follows from the tests that ran before, and to read them takes each process a second.
providers._get_local_constants = lambda: providers._local_constants


host.heed_signals()
host.forget_who_starts()
gc.disable()  # what is collected stays: looking through it again and again is a fifth of the time


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass by what all tests are made of, and come less often."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 20)  # by default a twentieth of the time of all tests
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the host has, and what is not compared with it therefore."""
    for line in host.summary():
        terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first, so that none begins when the others are done; leave some out.

    Those cannot be compared with this host, and get the reason.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        reason = host.left_out(item.nodeid)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
