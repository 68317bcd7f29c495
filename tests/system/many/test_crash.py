"""`pkern sweep --crash`: what a directory of the host holds when the machine stops at a write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import pkern

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
# Replaces a file: as one should, or in place.
PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int put(const char *path, int flags)
{
	char page[5000];
	int fd = open(path, O_WRONLY | flags, 0644);
	memset(page, 'n', sizeof(page));
	if (fd < 0 || write(fd, page, sizeof(page)) != sizeof(page) || fsync(fd))
		return perror(path), 1;
	return close(fd);
}
int main(int argc, char **argv)
{
	if (argc > 1)
		return put("/data/file", O_TRUNC);
	return put("/data/new", O_CREAT | O_EXCL) || rename("/data/new", "/data/file");
}
"""
# All old or all new.
CHECK = (
    "case $(tr -d '\\0' <file | tr -s no) in o) test $(wc -c <file) = 3000 ;;"
    " n) test $(wc -c <file) = 5000 ;; *) false ;; esac"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.c").write_text(PROGRAM)
    program = ["gcc", "-static", "-o", tmp_path / "program", tmp_path / "program.c"]
    subprocess.run(program, check=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("o" * 3000)
    return tmp_path


def sweep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return pkern("sweep", "--uid", "0", *words, cwd=folder)


def test_a_file_that_is_replaced_by_a_rename_is_sound_at_each_write(folder: Path) -> None:
    done = sweep(folder, "--crash", "data:/data", "--check", CHECK, "./program")
    assert done.returncode == 0, done.stdout + done.stderr
    first, writes, _, sound, replay = done.stdout.splitlines()
    assert first == "without a crash: status 0; sound"
    nr = int(writes.removeprefix("writes: "))
    assert nr >= 4  # the file, its two pages, the name
    assert sound == f"{nr:6}  sound"
    assert replay.strip().startswith("pkern run --fail disk_write:1 --bind data:/data:rw ")
    assert (folder / "data" / "file").read_text() == "o" * 3000


def test_one_that_is_written_in_place_is_not(folder: Path) -> None:
    done = sweep(folder, "--crash", "data:/data", "--check", CHECK, "./program", "x")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "  unsound, status 1\n" in done.stdout
    replay = next(line for line in done.stdout.splitlines() if "disk_write:2" in line)
    copy = folder / "copy"
    shutil.copytree(folder / "data", copy)
    words = replay.replace("data:/data", "copy:/data").split()[1:]
    again = pkern(*words, cwd=folder)
    assert again.returncode == 1
    assert "stops dead before it writes to the host" in again.stderr
    assert subprocess.run(["sh", "-c", CHECK], cwd=copy, check=False).returncode == 1


def test_what_does_not_go_together_is_said(folder: Path) -> None:
    alone = sweep(folder, "--check", "true", "./program")
    assert (alone.returncode, "--check is for --crash" in alone.stderr) == (2, True)
    assert "--crash needs --check" in sweep(folder, "--crash", "data", "./program").stderr
    both = sweep(folder, "--crash", "data", "--check", "true", "--fail", "oom", "./program")
    assert "--crash stands alone" in both.stderr
