"""What is compared with which host: decided both ways, whatever this host is."""

from pathlib import Path

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


def test_a_run_says_what_it_leaves_out() -> None:
    (line,) = host.summary(frozenset())
    assert "no protection keys; all is compared" in line
    head, *left_out = host.summary(frozenset({"pku"}))
    assert head.endswith("pku; compared only with hosts without:")
    assert left_out == [f"  {what}" for what in host.ONLY_WITHOUT["pku"]]


def test_the_processor_is_asked_itself() -> None:
    """The kernel's own list agrees."""
    text = Path("/proc/cpuinfo").read_text()
    assert host_cpu_features() == ({"pku"} if " ospke" in text else frozenset())
