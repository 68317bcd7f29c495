"""Sweeps and suites on the computers of a Dask cluster that is there already (extra `cluster`).

    share.py     which part of the work is whose
    dask.py      the cluster: gives out parts, and those of a lost worker again
    worker.py    the process that does a part, beside a worker of Dask's and not in it

What comes of a part depends on nothing but the part: not on who does it, when, or how often. The
commands put it together; suite/ and sweep/ know only that parts can be run elsewhere.
"""
