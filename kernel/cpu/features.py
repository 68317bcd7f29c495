"""What a processor may have beyond the common ones: a boot parameter, never the host's.

Names are Linux's of /proc/cpuinfo. The core obeys the bits (enum cpu_features), CPUID tells them.
"""

from __future__ import annotations

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.core import lib

CPU_FEATURES = {"pku": lib.CPU_PKU}


def parse_features(text: str) -> frozenset[str]:
    """Return the features that a list such as "pku" names. Errors: ValueError."""
    names = frozenset(text.replace(",", " ").split())
    for name in sorted(names - CPU_FEATURES.keys()):
        hint = did_you_mean(name, CPU_FEATURES, f": choose {', '.join(CPU_FEATURES)}")
        raise ValueError(f"unknown feature {name!r} of a processor{hint}")
    return names


def feature_bits(names: frozenset[str]) -> int:
    """Return enum cpu_features of the core."""
    return sum(int(CPU_FEATURES[name]) for name in names)
