"""busybox and its file tools: the same script here and on the host prints the same.

The host runs it with a temporary directory as its root, which holds nothing but busybox, its links
and a few devices; times and inode numbers are left out of what is printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from pkern.kernel.vfs import names
from pkern.kernel.vfs.walk import Last
from pkern.userland.machine_code import captured, put_program, run_machine_code, start_init
from tests.commands import SECONDS

BUSYBOX = shutil.which("busybox")
TOOLS = """
    sh ls mkdir cp mv rm ln cat find tar touch stat readlink realpath chmod chown du wc sort head
    tail grep sed dd mkfifo mknod tee pwd rmdir echo cmp sha256sum gzip gunzip seq xargs awk od
    hexdump uniq cut tr diff patch truncate test env basename dirname tac cpio true umask expr
"""
SCRIPTS = sorted((Path(__file__).parents[1] / "scripts").glob("*.sh"))
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7)}

pytestmark = [
    pytest.mark.skipif(BUSYBOX is None, reason="needs a static busybox"),
    pytest.mark.skipif(os.getuid() != 0, reason="the host's chroot is for root"),
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    assert BUSYBOX is not None
    for folder in ("bin", "dev", "tmp", "tmp/w"):
        (tmp_path / folder).mkdir()
    shutil.copy(BUSYBOX, tmp_path / "bin/busybox")
    for tool in TOOLS.split():
        (tmp_path / "bin" / tool).symlink_to("busybox")
    for name, (major, minor) in DEVICES.items():
        os.mknod(tmp_path / "dev" / name, 0o020666, os.makedev(major, minor))
        (tmp_path / "dev" / name).chmod(0o666)
    yield tmp_path
    shutil.rmtree(tmp_path)


def on_the_host(root: Path, script: str) -> str:
    def enter() -> None:
        os.chroot(root)
        os.chdir("/tmp/w")
        os.umask(0o022)

    done = subprocess.run(
        ["/bin/sh", "-c", script],
        preexec_fn=enter,
        env={"PATH": "/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
        start_new_session=True,
    )
    return f"{done.stdout.decode()}\nstatus {done.returncode}"


def on_the_kernel(script: str) -> str:
    assert BUSYBOX is not None
    output = bytearray()
    with Kernel(ram="64M") as kernel:
        put_program(kernel, Path(BUSYBOX), "/bin/busybox")
        init = start_init(kernel)
        for tool in TOOLS.split():
            names.symlink(init, "busybox", kernel.vfs.walk(init, f"/bin/{tool}", Last.ENTRY))
        status = run_machine_code(
            kernel,
            "/bin/sh",
            ["/bin/sh", "-c", f"mkdir /tmp/w; cd /tmp/w; {script}"],
            stdio=captured(kernel, b"", output.extend),
            uid=0,
            env={"PATH": "/bin"},
        )
        kernel.check()
    return f"{output.decode()}\nstatus {status >> 8}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_same_script_prints_the_same(root: Path, path: Path) -> None:
    script = path.read_text()
    assert on_the_kernel(script) == on_the_host(root, script)
