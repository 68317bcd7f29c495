"""The process in which a worker of a cluster does one part: python -m pkern.userland.cluster.worker

It reads the part from its input and writes the outcome, as a branch does, to its output. The work
is done in a child with a process group of its own: when the input ends before the work does, who
asked is gone, and the whole group is killed. So a worker that dies leaves nothing running.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
from functools import partial
from typing import Any, NoReturn

from pkern import __version__
from pkern.kernel.branch import LENGTH, PIPE_BYTES, Reply
from pkern.userland.cluster.share import NotTheSame, Part, digest_of

INPUT, OUTPUT, ERRORS = 0, 1, 2


def packed(part: Part) -> bytes:
    """Return what the process reads: a length, then the part, whose it is, and from where."""
    data = pickle.dumps((__version__, os.getcwd(), pickle.dumps(part)))
    return LENGTH.pack(len(data)) + data


def done(data: bytes) -> Any:
    """Do a part. Errors: NotTheSame, and the part's own."""
    version, directory, rest = pickle.loads(data)
    if version != __version__:
        raise NotTheSame(f"a worker has pkern {__version__}, not {version}")
    try:
        os.chdir(directory)
    except OSError as error:
        raise NotTheSame(f"a worker cannot be in '{directory}': {error.strerror}") from error
    part: Part = pickle.loads(rest)
    for path, digest in part.files.items():
        _must_be(path, digest)
    return part.function(*part.args)


def _must_be(path: str, digest: str) -> None:
    try:
        same = digest_of(path) == digest
    except OSError as error:
        raise NotTheSame(f"a worker cannot read '{path}': {error.strerror}") from error
    if not same:
        raise NotTheSame(f"a worker's '{path}' is another file than here")


def main() -> int:
    """Do the part that stands in the input; 0 when its outcome has been written."""
    (nbytes,) = LENGTH.unpack(_read(LENGTH.size))
    data = _read(nbytes)
    mine, its = os.pipe()
    child = os.fork()
    if not child:
        os.close(mine)
        _work(its, data)
    os.close(its)
    while True:
        ready = select.select([INPUT, mine], [], [])[0]
        if mine not in ready:  # nothing more is ever written to the input: it has ended
            os.killpg(child, signal.SIGKILL)
            return 1
        text = os.read(mine, PIPE_BYTES)
        if not text:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


def _work(fd: int, data: bytes) -> NoReturn:
    os.setpgid(0, 0)
    os.dup2(ERRORS, OUTPUT)  # what a program prints is no outcome
    os.dup2(os.open(os.devnull, os.O_RDONLY), INPUT)
    Reply(fd).run(partial(done, data))


def _read(nbytes: int) -> bytes:
    data = b""
    while len(data) < nbytes:
        more = os.read(INPUT, nbytes - len(data))
        if not more:
            raise SystemExit("no part of work stands in the input")
        data += more
    return data


if __name__ == "__main__":
    sys.exit(main())
