"""What the host's processor has, of what a machine here may be given too.

Owns the names of these features. Whoever compares a machine with the host asks here, and asks the
processor itself: the kernel's list of flags may be another's, as in a container.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from pkern.userland.conform.hostcc import build

# Bits of ECX in CPUID's leaf 7. The second of the two that speak of protection keys says that the
# kernel has switched them on; the first says only that it could.
OSPKE = 1 << 4
FEATURES = {"pku": OSPKE}


@functools.cache
def host_cpu_features() -> frozenset[str]:
    """Return the names of the features that the host's processor has in use, as `--cpu` takes them.

    Errors: NoCompiler (the question is a C program).
    """
    program = build("hostcpu", [Path(__file__).with_name("hostcpu.c")], ["-O1"])
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return features_of(int(done.stdout, 16))


def features_of(leaf7_ecx: int) -> frozenset[str]:
    """Return the names of the features in what CPUID's leaf 7 gives in ECX."""
    return frozenset(name for name, bit in FEATURES.items() if leaf7_ecx & bit)
