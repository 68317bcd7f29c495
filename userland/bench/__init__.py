"""The bench: this kernel beside the host's kernel, on this machine, in one run.

host.c and core.c are compiled at the first run; programs.py runs them and the callers in
Python; machine_code.py runs a static program here, on the host and under qemu-user; run.py owns
the rows and their targets.  run_bench() is the door.
"""

from pkern.userland.bench.run import Row, as_json, as_markdown, cases_here, run_bench

__all__ = ["Row", "as_json", "as_markdown", "cases_here", "run_bench"]
