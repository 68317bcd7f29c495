r"""The host's own kernel as oracle: random memory calls on both kernels, compared.

    sequence (generate.py) --> host.py --> runner.c, a process of the real Linux
                           \-> model.py --> runner.c, a process of this kernel
    both frames of bytes --> equal, or answers.py decodes them --> differences.py (the table of
    what may differ) --> oracle.py (both kernels) --> run.py --> report.py, record.py

run_conform() is the door, run_parts() that of `pkern conform`, which keeps a record.
"""

from pkern.userland.conform.report import Failure, Report
from pkern.userland.conform.run import run_conform

__all__ = ["Failure", "Report", "run_conform"]
