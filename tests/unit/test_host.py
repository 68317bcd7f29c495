"""What is compared with which host: decided both ways, whatever this host is."""

import fnmatch
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pkern.userland.conform.differences import NEWER, release_of
from pkern.userland.conform.hostcpu import features_of, host_cpu_features
from tests import host

PKU, OSPKE = 1 << 3, 1 << 4
OUTPUT = b"""\
prot 3 touched 1, access 1: signal 0 code 0 error 0 vector 0
prot 4 touched 1, access 0: signal 11 code 4 error 0x25 vector 14 address 1
prot 5 touched 0, access 1: signal 11 code 2 error 0x7 vector 14 address 1
"""


def test_keys_count_when_the_kernel_has_switched_them_on() -> None:
    assert features_of(0) == features_of(PKU) == frozenset()
    assert features_of(PKU | OSPKE) == {"pku"}


def test_what_keys_change_is_compared_only_with_a_host_without() -> None:
    assert len(host.without_execute_only(OUTPUT, frozenset())) == 3
    kept = host.without_execute_only(OUTPUT, frozenset({"pku"}))
    assert [line[:6] for line in kept] == ["prot 3", "prot 5"]


def test_a_mark_of_changed_memory_is_no_difference() -> None:
    flags = b"  VmFlags: rd wr lo dd sd \nsd VmFlags: sd \n"
    assert host.without_marks(flags) == b"  VmFlags: rd wr lo dd \nsd VmFlags: sd \n"


def test_a_run_says_what_it_leaves_out() -> None:
    (line,) = host.summary(frozenset(), (6, 18, 44), ())
    assert "Linux 6.18.44, a processor with no protection keys; all is compared" in line
    there = [replace(trait, here=True) for trait in host.TRAITS]
    text = "\n".join(host.summary(frozenset({"pku"}), (6, 1), there))
    assert all(trait.name in text and trait.reason in text for trait in there)
    assert all(what in text for what in host.ONLY_WITHOUT["pku"])
    assert all(row.reason in text for row in NEWER)


def test_an_older_kernel_is_not_asked_for_what_it_lacks() -> None:
    assert release_of("6.1.0-57-cloud-amd64") == (6, 1, 0)
    assert release_of("6.18.44") == (6, 18, 44)
    assert release_of("7.0-rc3") == (7, 0) < release_of("7.0.1")
    case = "tests/property/test_odd_arguments_host.py::test_same_results_on_the_host[cachestat]"
    assert "the call cachestat (6.5)" in host.left_out(case, (6, 1))
    assert (
        host.left_out(case, (6, 5)) == host.left_out(case.replace("cachestat", "x"), (6, 1)) == ""
    )
    assert host.without_newer_fields(["Rss", "KSM:"], (6, 1)) == ["Rss"]
    assert host.without_newer_fields(["Rss", "KSM:"], (6, 18)) == ["Rss", "KSM:"]


@pytest.mark.parametrize("here", [False, True])
def test_a_trait_of_the_host_leaves_its_tests_out(here: bool) -> None:
    traits = [replace(trait, here=here) for trait in host.TRAITS]
    test = "tests/system/programs/test_programs.py::test_pkern_prints_what_linux_prints[vsyscall]"
    assert bool(host.left_out(test, (6, 18), traits)) is here
    assert host.left_out(test.replace("vsyscall", "cow"), (6, 18), traits) == ""


def test_every_row_of_what_is_newer_belongs_to_tests() -> None:
    assert set(host.COMPARED_IN) == {row.subject for row in NEWER}
    assert all(row.fields or host.COMPARED_IN[row.subject] for row in NEWER)


def _collected(folders: list[str], root: Path) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *folders], cwd=root, capture_output=True, text=True
    ).stdout.splitlines()


def test_every_pattern_names_tests_that_exist(request: pytest.FixtureRequest) -> None:
    """What these patterns leave out on old hosts is found by collecting, as pytest would."""
    folders = ["tests/unit/files/test_splice.py", "tests/unit/files/test_sockets.py",
               "tests/unit/tasks/test_info.py", "tests/unit/proc/test_proc_files.py",
               "tests/unit/proc/test_proc.py",
               "tests/property/test_odd_arguments_host.py",
               "tests/property/test_oracle.py", "tests/system/programs/test_elf.py",
               "tests/system/programs/test_elf_kernel_pages.py",
               "tests/system/programs/test_elf_errors.py", "tests/system/programs/test_programs.py",
               "tests/system/commands/test_uml.py", "tests/system/commands/test_mount.py",
               "tests/system/debuggers/test_debuggers.py",
               "tests/system/processor/test_processor_host.py",
               "tests/system/processor/test_protection_keys.py",
               "tests/system/programs/test_core_files.py",
               "tests/system/tools/test_namespace_tools.py"]  # fmt: skip
    patterns = [pattern for patterns in host.COMPARED_IN.values() for pattern in patterns]
    patterns += [pattern for trait in host.TRAITS for pattern in trait.tests]
    ids = [item.nodeid for item in request.session.items]
    if not {nodeid.partition("::")[0] for nodeid in ids}.issuperset(folders):
        ids = _collected(folders, request.config.rootpath)
    assert [p for p in patterns if not fnmatch.filter(ids, p)] == []


def test_a_run_in_the_background_starts_programs_that_take_signals() -> None:
    """As the shell's `pytest &` and nohup leave them: SIGINT, SIGQUIT and SIGHUP ignored."""
    ignored = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    before = [signal.signal(signo, signal.SIG_IGN) for signo in ignored]
    try:
        host.heed_signals()
        child = subprocess.run(["grep", "SigIgn", "/proc/self/status"], capture_output=True)
    finally:
        for signo, handler in zip(ignored, before, strict=True):
            signal.signal(signo, handler)
    assert int(child.stdout.split()[1], 16) & sum(1 << signo - 1 for signo in ignored) == 0


def test_the_processor_is_asked_itself() -> None:
    """The kernel's own list agrees."""
    text = Path("/proc/cpuinfo").read_text()
    assert host_cpu_features() == ({"pku"} if " ospke" in text else frozenset())
