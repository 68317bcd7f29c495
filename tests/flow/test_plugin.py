"""The pytest plugin, seen from a test run of its own."""

from pkern.userland.cli.options import RMAPS

GATE = """
from pkern.userland.cli.options import RMAPS
import pytest

@pytest.mark.sysctl({"vm.nonlinear": 1})
def test_marker(kernel):
    assert int(kernel.sysctl["vm.nonlinear"]) == 1

@pytest.mark.sysctl("vm.max_map_count=100")
@pytest.mark.boot(ram="16M")
def test_text_marker(kernel, task):
    assert int(kernel.sysctl["vm.max_map_count"]) == 100
    assert task.uid == 1000

@pytest.mark.all_rmaps
def test_each(kernel, pkern_rmap):
    assert kernel.sysctl["vm.rmap"] == pkern_rmap
"""

FAILING = """
def test_fails(kernel, task):
    kernel.log.write(6, "a line of the log")
    assert False
"""

BROKEN = """
def test_breaks_the_kernel(kernel, task):
    kernel.counters.nr_free += 1
"""

WRONG = """
import pytest

@pytest.mark.sysctl({"vm.nonlinaer": 1})
def test_sysctl(kernel): pass

@pytest.mark.boot(rma="16M")
def test_boot(kernel): pass
"""


def test_markers_and_parametrisation(pytester):
    pytester.makepyfile(GATE)
    pytester.runpytest_inprocess().assert_outcomes(passed=2 + len(RMAPS))


def test_option_runs_every_reverse_map(pytester):
    pytester.makepyfile("def test_it(kernel): pass")
    pytester.runpytest_inprocess("--rmap", "all").assert_outcomes(passed=len(RMAPS))


def test_failure_shows_maps_and_log(pytester):
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*/maps*", "*[[]stack]*", "*kernel log*", "*a line of the log*"])


def test_a_wrong_counter_is_found_after_the_test(pytester):
    pytester.makepyfile(BROKEN)
    result = pytester.runpytest_inprocess()
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["*KernelBug*", "*/maps*", "*[[]stack]*", "*kernel log*"])


def test_a_wrong_marker_is_one_sentence(pytester):
    pytester.makepyfile(WRONG)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*did you mean vm.nonlinear?*", "*unexpected*argument 'rma'*"])
    result.stdout.no_fnmatch_line("*Traceback*")
