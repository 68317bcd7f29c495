"""The overlay: what a program sees of it is what Linux's overlayfs shows.

The expected text is the host's: where the host lets us mount an overlay, it is compared with that
host again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import HostFs
from pkern.kernel.vfs.fs.overlay import OverlayFs
from pkern.userland.machine_code import captured, put_program, run_machine_code
from pkern.userland.program import Sys

EXPECTED = Path(__file__).parents[1] / "elf/files/overlay.txt"
FILES = {
    "file": "hello", "one": "link", "lonely": "solo", "dir/a": "a", "dir/b": "b", "dir/new": "n",
    "dir/deep/c": "c", "from": "from", "swap": "swap", "mode": "mode", "kept/k": "kept",
    "cut": "cut", "gone": "gone", "sub/s": "s", "quiet": "quiet",
}  # fmt: skip
FS_IOC_FSSETXATTR, FSXATTR, XFLAG_NOATIME = 0x401C5820, struct.Struct("<5I8x"), 0x40
LONG_AGO = (1_000_000_000, 1_000_000_000)


@pytest.fixture
def lower(tmp_path):
    """Return a directory of the host whose work/ the program works in."""
    work = tmp_path / "lower/work"
    for folder in ("dir/deep", "sub", "empty", "kept"):
        (work / folder).mkdir(parents=True)
    for name, text in FILES.items():
        (work / name).write_text(text + "\n")
        (work / name).chmod(0o644)
        os.utime(work / name, LONG_AGO)
    (work / "two").hardlink_to(work / "one")
    (work / "link").symlink_to("mode")
    with (work / "quiet").open("rb") as quiet:
        fcntl.ioctl(quiet, FS_IOC_FSSETXATTR, FSXATTR.pack(XFLAG_NOATIME, 0, 0, 0, 0))
    return work.parent


def everything(folder):
    """Return all that a directory holds, with contents, modes and times."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [
        (path, status.st_mode, status.st_mtime_ns, path.is_file() and path.read_bytes())
        for path, status in found
    ]


def test_a_program_sees_what_linux_s_overlayfs_shows(compile_c, lower):
    program = compile_c("overlay", "glibc")
    before, out = everything(lower), []
    with Kernel() as kernel:
        kernel.vfs.set_root(OverlayFs(HostFs(lower)))
        put_program(kernel, program, "/tmp/overlay")
        stdio = captured(kernel, b"", out.append)
        run_machine_code(kernel, "/tmp/overlay", ["overlay", "/work"], stdio=stdio, uid=0)
        kernel.check()
    assert b"".join(out).decode() == EXPECTED.read_text()
    assert everything(lower) == before


def test_the_expected_text_is_the_host_s(compile_c, lower, tmp_path):
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    script = (
        'mount -t overlay overlay -o lowerdir="$1/lower",upperdir="$1/upper",workdir="$1/work"'
        ',index=on,redirect_dir=off "$1/merged" || exit 99; exec "$2" "$1/merged/work"'
    )
    program = compile_c("overlay", "glibc")
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), str(program)]
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("only root may mount an overlay on the host")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode in (1, 99) and not done.stdout:
        pytest.skip("this host mounts no overlay")
    assert done.stdout == EXPECTED.read_text()


@pytest.fixture
def small(lower):
    """Return a machine of 1 MiB over the directory, and root's calls."""
    (lower / "work/big").write_bytes(b"x" * (3 << 20))
    kernel = Kernel("1M")
    kernel.vfs.set_root(OverlayFs(HostFs(lower)))
    yield kernel, Sys(kernel.spawn(uid=0, gid=0))
    kernel.check()
    kernel.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda sys: sys.open("/work/big", sys.O_RDWR, 0),
        lambda sys: sys.chmod("/work/big", 0o600),
        lambda sys: sys.rename("/work/big", "/work/bigger"),
        lambda sys: sys.rename("/work/big", "/work/mode"),
        lambda sys: sys.link("/work/big", "/work/bigger"),
        lambda sys: sys.truncate("/work/big", 2 << 20),
    ],
)
def test_a_copy_that_does_not_fit_changes_nothing(small, change):
    _, sys = small
    before = sys.stat("/work/big"), sys.listdir("/work"), sys.statfs("/")
    with pytest.raises(SyscallError, match="No space left"):
        change(sys)
    assert (sys.stat("/work/big"), sys.listdir("/work"), sys.statfs("/")) == before


def test_what_needs_no_copy_fits(small):
    _, sys = small
    sys.close(sys.open("/work/big", sys.O_RDWR | sys.O_TRUNC, 0))
    assert sys.stat("/work/big").st_size == 0
    sys.truncate("/work/big", 4096)
    sys.unlink("/work/big")
    assert "big" not in sys.listdir("/work")


def test_every_allocation_of_a_copy_may_fail(lower):
    with Kernel("16M") as kernel:
        kernel.vfs.set_root(OverlayFs(HostFs(lower)))
        sys = Sys(kernel.spawn(uid=0, gid=0))
        before = sys.stat("/work/file")
        for nth in range(1, 100):
            kernel.fail_nth(nth)
            try:
                descriptor = sys.open("/work/file", sys.O_RDWR, 0)
            except SyscallError as error:
                assert error.number == 12
                assert sys.stat("/work/file") == before
                kernel.check()
                continue
            finally:
                kernel.fail_nth(0)
            break
        assert nth > 1
        assert sys.read(descriptor, 10) == b"hello\n"


def test_root_is_an_overlay_in_the_list_of_mounts(small):
    _, sys = small
    text = sys.read(sys.open("/proc/mounts", 0, 0), 4096).decode()
    assert text.startswith("overlay / overlay rw,relatime,redirect_dir=off,index=on,xino=on 0 0\n")
