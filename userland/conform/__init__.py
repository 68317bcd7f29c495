r"""The host's own kernel as oracle: random memory calls on both kernels, compared.

    sequence (generate.py) --> host.py --> runner.c, a child process of the real Linux
                           \-> model.py --> a task of this kernel
    both outcomes --> differences.py (the table of what may differ) --> run.py: Report

run_conform() is the door; `pkern conform` and tests/property/test_oracle.py call it.
"""

from pkern.userland.conform.run import Failure, Report, run_conform

__all__ = ["Failure", "Report", "run_conform"]
