"""The host that tests compare with: what it has that decides what can be compared.

The one place that knows it. What is left out on some hosts stands in the tables here, and is said
at the end of each test run, together with what was found.
"""

from __future__ import annotations

from pkern.userland.conform.hostcpu import host_cpu_features

FEATURES = host_cpu_features()
# What a machine is booted with that is to answer as the host does: `@pytest.mark.boot(cpu=CPU)`.
CPU = ",".join(sorted(FEATURES))

# What is compared only with a host whose processor lacks a feature, and why.
ONLY_WITHOUT = {
    "pku": (
        "accesses of a guest kernel's program to memory that may only be executed: a guest's"
        " processor has no keys",
    ),
}


def compared_only_without(features: frozenset[str]) -> list[str]:
    """Return what is not compared with a host that has these features."""
    return [what for feature in sorted(features) for what in ONLY_WITHOUT.get(feature, ())]


def summary(features: frozenset[str]) -> list[str]:
    """Return what a test run says of its host, in lines."""
    left_out = compared_only_without(features)
    named = ", ".join(sorted(features)) or "no protection keys"
    if not left_out:
        return [f"the host's processor: {named}; all is compared with it"]
    head = f"the host's processor: {named}; compared only with hosts without:"
    return [head, *(f"  {what}" for what in left_out)]


def without_execute_only(output: bytes, features: frozenset[str] = FEATURES) -> list[str]:
    """Return errorcodes' lines, on a host with protection keys those that they do not change."""
    lines = output.decode().splitlines()
    if "pku" not in features:
        return lines
    return [line for line in lines if not line.startswith("prot 4 ")]
