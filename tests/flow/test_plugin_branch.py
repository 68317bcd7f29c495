"""`pytest --pkern-branch`, seen from a test run of its own: a copy of a machine for each test."""

import pytest

TESTS = """
import os

import pytest

seen = []  # a copy's own
pids = set()

def test_machine(pkern_user, tmp_path):
    at = pkern_user.mmap(0, 4096, pkern_user.PROT_READ | pkern_user.PROT_WRITE,
                         pkern_user.MAP_PRIVATE | pkern_user.MAP_ANONYMOUS, -1, 0)
    pkern_user.store(at, b"x")
    (tmp_path / "file").write_text("here")
    seen.append("machine")

def test_is_told_of_nothing(pkern_user):
    assert seen == [] and pkern_user.getpid() == 1

def test_fails(pkern_machine):
    print("what it said")
    pkern_machine.log.write(6, "a line of the log")
    assert seen == ["never"]

def test_dies(pkern_machine):
    os.kill(os.getpid(), 9)

def test_without_a_machine():
    seen.append("here")
    assert seen == ["here"]

@pytest.mark.pkern_all_rmaps
def test_each(pkern_machine, pkern_rmap):
    assert pkern_machine.sysctl["vm.rmap"] == pkern_rmap and seen == ["here"]

@pytest.mark.pkern_boot(rma="16M")
def test_wrong_marker(pkern_machine): pass

def test_skips(pkern_machine):
    pytest.skip("as it says")

@pytest.mark.xfail(strict=True)
def test_is_to_fail(pkern_machine):
    assert 0
"""
BOOTS = """
from pkern.kernel.machine import Kernel

boots, real = [], Kernel.__init__

def counted(self, *args, **named):
    boots.append(named)
    real(self, *args, **named)

Kernel.__init__ = counted

def pytest_unconfigure():
    print(f"machines booted: {len(boots)}")
"""
QUIET = ("-p", "no:cacheprovider", "-p", "no:xdist")


def test_each_test_has_a_copy_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(*QUIET, "--pkern-branch")
    result.assert_outcomes(passed=8, failed=2, errors=1, skipped=1, xfailed=1)
    text = result.stdout.str()
    assert "what it said" in text
    assert "a line of the log" in text
    assert "the branch ended without a result: SIGKILL" in text
    assert "a marker of this test asks for what cannot be" in text


def test_machines_are_booted_once_for_those_that_ask_for_the_same(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(BOOTS)
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("n", range(5))
        def test_usual(pkern_user, n): pass
        @pytest.mark.parametrize("n", range(5))
        @pytest.mark.pkern_boot(ram="16M")
        def test_small(pkern_machine, n): assert pkern_machine.ram == 16 << 20
        """
    )
    result = pytester.runpytest_subprocess(*QUIET, "-s", "--pkern-branch")
    result.assert_outcomes(passed=10)
    assert "machines booted: 2" in result.stdout.str()


def test_a_debugger_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess(*QUIET, "--pkern-branch", "--pdb")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "a debugger cannot be in another process" in result.stderr.str()


def test_a_file_ends_with_a_test_in_a_copy(pytester: pytest.Pytester) -> None:
    """What a plain test has set up here before it is torn down for the next file."""
    pytester.makepyfile(
        test_a="def test_plain(): pass\ndef test_machine(pkern_machine): pass",
        test_b="def test_plain(): pass\ndef test_machine(pkern_machine): pass",
    )
    result = pytester.runpytest_subprocess("--pkern-branch", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)
