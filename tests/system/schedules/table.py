"""How many schedules each strategy needs for each program with a known bug: a table in Markdown.

Run by hand, beside docs/schedules.md. Needs gcc; takes long.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
MOST = 1000
STRATEGIES = {
    "tree, one preemption": ("--strategy", "bounded", "--bound", "1"),
    "random": ("--strategy", "random"),
    "PCT, depth 2": ("--strategy", "pct", "--depth", "2"),
    "PCT, depth 3": ("--strategy", "pct", "--depth", "3"),
}


def found(program: Path, options: tuple[str, ...]) -> str:
    """Return the number of the first schedule with a finding, or that there was none."""
    command = ["explore", "--first", "--jobs", "1", "--preempt", "memory", "--budget", str(MOST)]
    argv = [sys.executable, "-m", "pkern", *command, *options, str(program)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    first = re.search(r"first in schedule (\d+)", done.stdout)
    return first[1] if first else f"> {MOST}"


def points(program: Path) -> str:
    """Return how many points the usual schedule has."""
    argv = [sys.executable, "-m", "pkern", "explore", "--preempt", "memory", "--bound", "0"]
    done = subprocess.run([*argv, str(program)], capture_output=True, text=True, check=False)
    return re.search(r"\((\d+) points\)", done.stdout)[1]  # type: ignore[index]


def main() -> None:
    """Print the table."""
    print(f"| program | points | {' | '.join(STRATEGIES)} |")
    print(f"|---|{'---:|' * (1 + len(STRATEGIES))}")
    with TemporaryDirectory() as folder:
        for source in sorted(HERE.glob("*.c")):
            program = Path(folder, source.stem)
            compile_ = ["gcc", "-static", "-O1", "-pthread", "-o", str(program), str(source)]
            subprocess.run(compile_, check=True)
            numbers = (found(program, options) for options in STRATEGIES.values())
            print(f"| {source.stem} | {points(program)} | {' | '.join(numbers)} |", flush=True)


if __name__ == "__main__":
    main()
