"""A Dask cluster, where parts of sweeps and suites are done.

Owns the connection. The scheduler gives a lost worker's parts to another; an outcome is the part's
own, so that it does not matter who has done it, nor whether two have.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pkern.kernel.branch import BranchEnded, settled, unpacked
from pkern.userland.cluster.share import PARTS_A_THREAD, Part
from pkern.userland.cluster.worker import packed

SECONDS = 10  # to wait for a scheduler
TRIES = 10  # of a part whose workers are lost, one after the other


class NoCluster(RuntimeError):
    """There is no cluster to work on; the text says why, as a sentence."""


def work(data: bytes) -> bytes:
    """Do a part in a process of its own, on a worker, and return its outcome. Errors: none."""
    command = [sys.executable, "-m", "pkern.userland.cluster.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data)
        process.stdin.flush()  # it stays open: its end says that this worker is gone
        outcome = process.stdout.read()
    return outcome or pickle.dumps(([], False, BranchEnded(process.returncode << 8)))


class Cluster:
    """The workers of a scheduler, which may come and go; close it when the work is done."""

    def __init__(self, address: str) -> None:
        """Connect to a scheduler, as tcp://HOST:8786. Errors: NoCluster."""
        try:
            from distributed import Client
        except ImportError as error:
            raise NoCluster("--dask needs dask.distributed: the extra `cluster`") from error
        try:
            self._client = Client(address, timeout=SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise NoCluster(f"no scheduler of Dask answers at {address}") from error
        threads = sum(self._client.nthreads().values())
        if not threads:
            self.close()
            raise NoCluster(f"the scheduler at {address} has no workers")
        self.parts = PARTS_A_THREAD * threads

    def run(self, parts: Sequence[Part]) -> Iterator[tuple[int, Any]]:
        """Do parts and give (number, result) as they end.

        Errors: NoCluster where it is lost, NotTheSame, and a part's own.
        """
        from distributed import as_completed

        numbers = {}
        for number, part in enumerate(parts):
            future = self._client.submit(work, packed(part), pure=False, retries=TRIES)
            numbers[future.key] = number, future
        futures = [future for _, future in numbers.values()]
        for future in as_completed(futures, loop=self._client.loop):
            yield numbers[future.key][0], self._result(future)

    def _result(self, future: Any) -> Any:
        try:
            data = future.result()
        except Exception as error:  # whatever Dask raises for workers that are lost again and again
            raise NoCluster(f"the cluster could not do a part: {error}") from error
        return settled(unpacked(data, None))

    def close(self) -> None:
        """Leave the cluster; it drops what is not done yet."""
        self._client.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
