"""The option --dask of commands whose work can be done on a cluster, and what becomes of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pkern.userland.cli.options import UsageError

if TYPE_CHECKING:
    from pkern.userland.cluster.share import Elsewhere


def add_dask(group: Any) -> None:
    """Add --dask to an argparse group."""
    group.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="run them on the workers of this scheduler, as tcp://HOST:8786, where the same files"
        " have the same paths",
    )


@contextmanager
def elsewhere(options: argparse.Namespace) -> Iterator[Elsewhere | None]:
    """Give the cluster that --dask names, or None. Errors: UsageError."""
    if options.dask is None:
        yield None
        return
    from pkern.userland.cluster.dask import Cluster, NoCluster
    from pkern.userland.cluster.share import NotTheSame

    try:
        with Cluster(options.dask) as cluster:
            yield cluster
    except (NoCluster, NotTheSame) as error:
        raise UsageError(str(error)) from error
