"""A program in machine code, root of its machine, finds nothing of the host outside its root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import pkern
from tests.system.conftest import Compile, on_host

BUSYBOX = Path("/bin/busybox")
SECRET = "what lies outside"
pytestmark = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs busybox-static")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with busybox, beside a secret; links in it lead there."""
    (tmp_path / "secret").write_text(SECRET)
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "dir").mkdir()
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (root / "secret").write_text("inside\n")
    (root / "up").symlink_to("../secret")
    (root / "absolute").symlink_to("/../../secret")
    (root / "dir/deep").symlink_to("../" * 20 + str(tmp_path)[1:] + "/secret")
    (root / "host").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "fifo")
    return root


def run(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    return pkern("run", "--root", root, "--uid", "0", "--", "/bin/busybox", "sh", "-c", script)


# A script -> what it prints, between its error messages, which name no host file's content.
WAYS = {
    "links": ("cat /up /absolute /dir/deep /host", "inside\ninside\n"),
    "dots": ("cat /../secret /dir/../../secret; cd /dir; cat ../../../secret", "inside\n" * 3),
    "processes": (
        "for p in 1 2 self; do for w in root cwd; do cat /proc/$p/$w/../../secret; done; done",
        "inside\n" * 6,
    ),
    "descriptors": ("exec 5</dir; cat /proc/self/fd/5/../../secret /dev/fd/5/deep", "inside\n"),
    "devices": (
        "cd /tmp; mknod disk b 8 0; mknod mem c 1 1; cat disk mem; test -b disk && echo made",
        "made\n",
    ),
    "mounts": (
        "mount -t hostfs /etc /tmp; mount -o bind / /tmp; mount -t ext4 /dev/sda /tmp;"
        " mount -t proc none /dir && cat /dir/1/root/../secret",
        "inside\n",
    ),
    "chroot": (
        "mkdir /tmp/j; cp /bin/busybox /tmp/j; cd /tmp; chroot j /busybox sh -c"
        " 'cd ../../..; /busybox ls; /busybox ls /..'",
        "busybox\nbusybox\n",
    ),
    "pipes of the host": ("cat /fifo", ""),
    "swap": ("swapon /host; swapon /secret; free | tail -1 | tr -s ' '", "Swap: 0 0 0\n"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_nothing_outside_the_root_is_reached(root: Path, way: str) -> None:
    script, expected = WAYS[way]
    done = run(root, script)
    assert done.stdout == expected, done.stderr
    assert SECRET not in done.stderr


def test_nothing_of_the_host_is_changed(root: Path) -> None:
    changes = (
        "echo x > /secret", "echo x >> /host", "rm /secret", "mkdir /new", "chmod 777 /secret",
        "chown 7 /secret", "mv /secret /s2", "ln /secret /s3", "ln -s x /s4", "touch /secret",
        "truncate -s 0 /secret",
    )  # fmt: skip
    before = sorted(root.parent.rglob("*")), (root / "secret").stat().st_mtime_ns
    done = run(root, "\n".join(f"{change} && echo done" for change in changes))
    assert done.stdout == ""
    assert done.stderr.count("Read-only file system") == len(changes) - 1  # /host leads nowhere
    assert (sorted(root.parent.rglob("*")), (root / "secret").stat().st_mtime_ns) == before
    assert (root.parent / "secret").read_text() == SECRET


LEAVES_A_QUEUE = """\
#include <sys/ipc.h>
#include <sys/msg.h>
int main(void) { return msgget(IPC_PRIVATE, 0600) < 0; }
"""


def test_a_program_of_the_tests_leaves_nothing_on_the_host(compile_c: Compile) -> None:
    if subprocess.run(["unshare", "--ipc", "true"], check=False, capture_output=True).returncode:
        pytest.skip("who may not have an IPC name space has the host's queues")
    inside = on_host(compile_c(LEAVES_A_QUEUE))
    listed = on_host(Path("/bin/cat"), "/proc/sysvipc/msg").out
    assert inside.status == 0
    assert listed.count(b"\n") == 1  # a list of its own, which has only its head
