"""From a file of the host to a checked sum: what `pkern bochs` and the story call.

Owns the copy of the host's file into the machine and the comparison with zlib. The sum that the
guest prints and the one that zlib computes meet here and nowhere else.
"""

from __future__ import annotations

import contextlib
import re
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pkern.kernel.errors import MemoryFault, SyscallError, TaskKilled
from pkern.userland.bochs.emulator import GuestError, Job, Report, emulate
from pkern.userland.bochs.loader import LoadError, ram_bytes_for
from pkern.userland.program import Sys

CHUNK = 1 << 20
INPUT = "/tmp/bochs.input"
SUM = re.compile(rb"^([0-9a-f]{8})\n$")
SPARE_BYTES = 4 << 20
BLOCKS_A_BYTE = 4
BLOCKS_AT_LEAST = 1 << 20


class BochsError(RuntimeError):
    """The emulator could not do its work; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class BochsResult(Report):
    """A run whose sum is checked: the guest's beside zlib's, and what it cost.

    crc: by the guest. zlib_crc: by the host, of the same bytes. seconds and tlb_fills vary with the
    host's speed, all other figures are the same at every run.
    """

    crc: int
    zlib_crc: int
    file_bytes: int
    seconds: float

    @property
    def correct(self) -> bool:
        """Tell whether the guest's sum is zlib's."""
        return self.crc == self.zlib_crc

    def rows(self) -> list[tuple[str, str]]:
        """Return (name, value) for a table, in the order in which they are best read."""
        verdict = "equal" if self.correct else "DIFFERENT"
        return [
            ("mode", self.mode),
            ("file", f"{self.file_bytes} bytes"),
            ("CRC-32 by the guest", f"{self.crc:08x}"),
            ("CRC-32 by zlib", f"{self.zlib_crc:08x} ({verdict})"),
            ("remap_file_pages calls", str(self.remap_calls)),
            ("mmap calls for the window", str(self.mmap_calls)),
            ("window dropped (CR3 changes)", str(self.window_drops)),
            ("stale pages replaced (invlpg)", str(self.stale_pages)),
            ("window dropped for want of VMAs", str(self.evictions)),
            ("VMAs, most at one time", str(self.vmas)),
            ("page faults of the emulator", str(self.faults)),
            ("TLB misses served in C", str(self.tlb_fills)),
            ("time", f"{self.seconds:.3f} s"),
        ]


def machine_ram(file_bytes: int) -> int:
    """Return how much RAM (bytes) a machine needs to run the emulator over a file.

    The file lies in the machine twice: in tmpfs and in guest RAM; tables come on top.
    """
    return 2 * file_bytes + file_bytes // 32 + SPARE_BYTES


def run_bochs(
    kernel: Any,
    host_path: str | Path,
    *,
    seed: int = 0,
    budget: int | None = None,
    guest: bytes | None = None,
) -> BochsResult:
    """Let the guest compute the CRC-32 of a host file and compare it with zlib's.

    kernel: a booted Kernel; vm.nonlinear decides the mode. seed: of the shuffle of guest RAM.
    budget: blocks of guest code until it is stopped; None: ample for the file, 0: no end.
    guest: another image than the shipped one.
    Errors: BochsError, GuestError, LoadError, ImageError, CpuUnavailable; OSError of the host file.
    """
    path = Path(host_path)
    ram_bytes_for(path.stat().st_size)  # refuses what the guest could not read
    try:
        file_bytes, expected = _copy_in(kernel, path)
        ample = file_bytes * BLOCKS_A_BYTE + BLOCKS_AT_LEAST
        job = Job(INPUT, seed, ample if budget is None else budget, guest)
        began = time.perf_counter()
        report = _run_task(kernel, job)
        seconds = time.perf_counter() - began
    except TaskKilled as error:
        raise _too_small(path) from error
    finally:
        _remove_input(kernel)
    return _result(report, file_bytes, expected, seconds)


def main(sys: Sys, argv: list[str] | None = None) -> int:
    """Run the emulator as a program: argv[1] is the file, the sum goes to descriptor 1.

    Returns the exit status: 0, or 1 when the guest failed, 2 for a wrong command line.
    """
    words = list(sys.task.argv if argv is None else argv)
    if len(words) != 2:
        sys.write(2, b"usage: bochs FILE\n")
        return 2
    try:
        report = emulate(sys, Job(words[1]))
    except (GuestError, LoadError, OSError) as error:
        sys.write(2, f"bochs: {error}\n".encode())
        return 1
    sys.write(1, f"{report.note}\n".encode() + report.output)
    return 0


def _spawn(kernel: Any, name: str, **options: Any) -> Sys:
    """Return a new task's calls. Errors: BochsError when the machine has no memory for it."""
    try:
        return Sys(kernel.spawn(name, **options))
    except SyscallError as error:
        raise BochsError(f"the machine could not start {name}: {error}") from error


def _copy_in(kernel: Any, path: Path) -> tuple[int, int]:
    """Copy a host file into the machine's tmpfs; return its length and zlib's sum.

    Errors: BochsError for the machine's, OSError for the host's.
    """
    sys = _spawn(kernel, "cp", uid=0, gid=0)
    total, crc = 0, 0
    try:
        fd = sys.open(INPUT, sys.O_WRONLY | sys.O_CREAT | sys.O_TRUNC, 0o644)
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                _write_all(sys, fd, chunk, path)
                total += len(chunk)
                crc = zlib.crc32(chunk, crc)
        sys.close(fd)
    except SyscallError as error:
        raise BochsError(f"the file could not be copied into the machine: {error}") from error
    finally:
        sys.exit(0)
    return total, crc


def _remove_input(kernel: Any) -> None:
    """Give the copy's memory back; a copy that was never made is no error."""
    with contextlib.suppress(OSError, BochsError):
        sys = _spawn(kernel, "rm", uid=0, gid=0)
        try:
            sys.unlink(INPUT)
        finally:
            sys.exit(0)


def _write_all(sys: Sys, fd: int, chunk: bytes, path: Path) -> None:
    """Write a chunk whole. Errors: BochsError when the machine is full."""
    view = memoryview(chunk)
    while view:
        try:
            view = view[sys.write(fd, bytes(view)) :]
        except OSError as error:
            raise _too_small(path) from error


def _run_task(kernel: Any, job: Job) -> Report:
    sys = _spawn(kernel, "bochs", argv=["bochs", job.path])
    status = 1
    try:
        report = emulate(sys, job)
        status = 0
    except MemoryFault as error:
        raise BochsError(f"the emulator itself was stopped by a {error}") from error
    except OSError as error:
        raise BochsError(f"a system call of the emulator failed: {error}") from error
    finally:
        sys.exit(status)
    return report


def _result(report: Report, file_bytes: int, expected: int, seconds: float) -> BochsResult:
    found = SUM.match(report.output)
    if found is None:
        said = report.output[:200].decode(errors="replace").strip()
        raise BochsError(f"the guest halted without a sum; it said: {said or 'nothing'}")
    return BochsResult(
        **asdict(report),
        crc=int(found[1], 16),
        zlib_crc=expected,
        file_bytes=file_bytes,
        seconds=seconds,
    )


def _too_small(path: Path) -> BochsError:
    megabytes = -(-machine_ram(path.stat().st_size) // (1 << 20))
    return BochsError(
        f"the machine has too little RAM for {path.name}: boot it with --ram {megabytes}M or more"
    )
