"""Suites of programs: each on a machine of its own.

    cases.py      which programs there are
    matrix.py     on which machines each of them runs
    work.py       one program on its machine, and what came of it
    workers.py    processes that run one program after the other
    pool.py       so many of them, or of branches, at once, and the host's time that each may take
    verdicts.py   what an exit status or an output means
    reports.py    the terminal's lines; JUnit, TAP and JSON

The command `pkern suite` puts them together; nothing here knows the command line.
"""
