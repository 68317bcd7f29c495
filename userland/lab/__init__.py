"""The lab: each claim of the letter as an experiment, with a rule that gives the verdict.

An experiment is a userland program (system calls only) that is run on machines of chosen designs,
and a rule over what it measured. `pkern lab list`, `pkern lab run NAME`, `pkern lab report DIR`.
"""

from pkern.userland.lab.experiment import (
    REGISTRY,
    Experiment,
    LabError,
    Result,
    Scale,
    Verdict,
    by_claim,
    run,
)
from pkern.userland.lab.experiments import (
    emulator,
    entry_cost,
    fork_cost,
    gate,
    guest_clock,
    guest_memory,
    large_pages,
    many_files,
    mmap_tests,
    out_of_memory,
    remap_cost,
    reverse_remap,
    rmap_tests,
    truncate,
    vma_count,
    windows,
)

MODULES = (
    rmap_tests,
    mmap_tests,
    fork_cost,
    windows,
    out_of_memory,
    gate,
    guest_clock,
    guest_memory,
    large_pages,
    emulator,
    remap_cost,
    reverse_remap,
    many_files,
    truncate,
    vma_count,
    entry_cost,
)

__all__ = [
    "MODULES",
    "REGISTRY",
    "Experiment",
    "LabError",
    "Result",
    "Scale",
    "Verdict",
    "by_claim",
    "run",
]
