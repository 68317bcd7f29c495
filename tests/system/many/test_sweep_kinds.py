"""`pkern sweep --fail KIND`: pages that are read or written, memory that runs out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import pkern
from tests.commands import SECONDS
from tests.commands import pkern as command

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
# More than there is memory for: some of it goes to swap and comes back.
SWAPPING = r"""
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
	const long size = 3 << 20;
	char *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < size; i += 4096)
		at[i] = i >> 12;
	puts("stored");
	fflush(stdout);
	for (long i = 0; i < 12 << 12; i += 4096)
		if (at[i] != (char)(i >> 12))
			return puts("lost"), 1;
	puts("found");
	return 0;
}
"""
READING = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char byte[20000];
	int fd = open(argv[1], O_RDONLY);
	long got = read(fd, byte, sizeof(byte));
	if (got != sizeof(byte))
		return printf("read %ld\n", got), 2;
	char *at = mmap(0, 40000, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("%d\n", at[30000]);
	return 0;
}
"""
# Queues, messages, semaphores, mergeable memory, faults that a program serves: 3 where one fails.
OBJECTS = r"""
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>
static int failed(const char *what) { return fprintf(stderr, "%s\n", what), 3; }
static int queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	char text[64];
	mqd_t mq = mq_open("/swept", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr);
	if (mq < 0)
		return failed("mq_open");
	int bad = mq_send(mq, "one", 4, 1) || mq_receive(mq, text, 64, NULL) != 4;
	bad |= mq_close(mq) || mq_unlink("/swept");
	return bad ? failed("mq") : 0;
}
static int messages(void)
{
	struct { long type; char text[40]; } m = { 1, "two" };
	int id = msgget(IPC_PRIVATE, 0600);
	if (id < 0)
		return failed("msgget");
	int bad = msgsnd(id, &m, 40, IPC_NOWAIT) || msgrcv(id, &m, 40, 0, IPC_NOWAIT) != 40;
	bad |= msgctl(id, IPC_RMID, NULL) != 0;
	return bad ? failed("msg") : 0;
}
static int semaphores(void)
{
	struct sembuf up = { 1, 1, SEM_UNDO }, down = { 1, -1, IPC_NOWAIT };
	int id = semget(IPC_PRIVATE, 3, 0600);
	if (id < 0)
		return failed("semget");
	int bad = semop(id, &up, 1) || semop(id, &down, 1);
	bad |= semctl(id, 0, IPC_RMID) != 0;
	return bad ? failed("sem") : 0;
}
static int faults(char *at)
{
	static char page[4096] __attribute__((aligned(4096))) = "three";
	struct uffdio_api api = { UFFD_API };
	struct uffdio_register range = { { (unsigned long)at, 8192 }, UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { (unsigned long)at, (unsigned long)page, 4096 };
	struct uffdio_zeropage zero = { { (unsigned long)at + 4096, 4096 } };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0)
		return failed("userfaultfd");
	int bad = ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range);
	bad = bad || ioctl(fd, UFFDIO_COPY, &copy) || ioctl(fd, UFFDIO_ZEROPAGE, &zero) || at[0] != 't';
	close(fd);
	return bad ? failed("fault") : 0;
}
int main(void)
{
	char *at = mmap(0, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return failed("mmap");
	if (madvise(at + 8192, 8192, MADV_MERGEABLE))
		return failed("merge");
	return queue() || messages() || semaphores() || faults(at) ? 3 : (puts("1"), 0);
}
"""
SMALL = ["--ram", "3M", "--swap", "8M"]


def build(tmp_path: Path, source: str) -> Path:
    (tmp_path / "program.c").write_text(source)
    program = tmp_path / "program"
    subprocess.run(["gcc", "-static", "-o", program, tmp_path / "program.c"], check=True)
    return program


def test_every_page_that_comes_back_from_swap_fails_once(tmp_path: Path) -> None:
    program = build(tmp_path, SWAPPING)
    done = command("sweep", "--fail", "swap_read", *SMALL, program)
    assert "without a failure: status 0: found" in done.stdout, done.stderr
    positions = int(re.search(r"positions: (\d+)", done.stdout)[1])
    assert positions >= 8
    # A page that cannot be read is SIGBUS for who needs it, and nothing for who only looked ahead.
    crashes = re.search(r"(\d+)  crashes: ended by SIGBUS: stored\n +(pkern run .*)", done.stdout)
    assert crashes is not None, done.stdout
    assert done.returncode == 1
    again = command(*crashes[2].split()[1:])
    assert (again.returncode, again.stdout) == (128 + 7, "stored\n")


def test_every_page_of_a_file_fails_once(tmp_path: Path) -> None:
    build(tmp_path, READING)
    (tmp_path / "file").write_bytes(b"\1" * 40000)
    where = ["--uid", "0", "--root", tmp_path]
    done = command("sweep", "--fail", "file_read", *where, "/program", "/file")
    assert "without a failure: status 0: 1" in done.stdout, done.stderr
    told = {re.sub(r"^ *\d+  ", "", line) for line in done.stdout.splitlines()}
    assert "crashes: ended by SIGBUS" in told
    assert {"reports: status 2: read -1", "reports: status 2: read 4096"} <= told


def test_a_failure_is_of_one_kind(tmp_path: Path) -> None:
    program = build(tmp_path, READING)
    both = command("sweep", "--fail", "writeback", "--inject", "read:error=EIO", program)
    assert (both.returncode, both.stderr) == (
        2,
        "pkern: --inject and --fail: one kind of failure at a time\n",
    )


@pytest.mark.parametrize("text", ["swap:1", "swap_read", "swap_read:0", "swap_read:x"])
def test_what_is_no_failure_is_said(tmp_path: Path, text: str) -> None:
    done = command("run", "--fail", text, build(tmp_path, READING))
    assert done.returncode == 2
    assert f"--fail takes KIND:N, as swap_read:3, not '{text}'" in done.stderr


def test_pending_counts_down() -> None:
    with pkern.Kernel() as kernel:
        kernel.fail_io("swap_read", 3)
        assert kernel.io_pending("swap_read") == 3
        kernel.fail_io("swap_read", 0)
        assert kernel.io_pending("swap_read") == 0
        with pytest.raises(ValueError, match=r"io_pending\(\) knows disk_write, file_read"):
            kernel.io_pending("network")


def test_memory_runs_out_at_each_allocation(tmp_path: Path) -> None:
    program = build(tmp_path, READING)
    done = command("sweep", "--fail", "oom", program, "/proc/self/comm")
    assert "without a failure: status 2: read 8" in done.stdout, done.stderr
    assert done.stderr == ""
    killed = re.search(r"(\d+)  reports: ended by SIGKILL\n +(pkern run .*)", done.stdout)
    assert killed is not None, done.stdout
    positions = int(re.search(r"positions: (\d+)", done.stdout)[1])
    assert int(killed[1]) >= positions - 1  # one may be for something that can be done without
    again = command("run", "--dmesg", *killed[2].split()[2:])
    assert again.returncode == 128 + 9
    assert "invoked oom-killer" in again.stdout


def test_memory_that_runs_out_is_a_policy(tmp_path: Path) -> None:
    """Where the allocating task is what fails, a call gets ENOMEM, and a fault ends it."""
    program = build(tmp_path, READING)
    policy = ["--sysctl", "vm.oom_policy=kill_allocating"]
    done = command("sweep", "--fail", "oom", *policy, program, "/proc/self/comm")
    assert "reports: ended by SIGKILL" in done.stdout
    assert int(re.search(r"(\d+)  reports: ended by SIGKILL", done.stdout)[1]) < int(
        re.search(r"positions: (\d+)", done.stdout)[1]
    )


def test_what_the_execve_allocates_fails_where_that_is_asked_for(tmp_path: Path) -> None:
    program = build(tmp_path, READING)
    usual = command("sweep", program, "/proc/self/comm").stdout
    whole = command("sweep", "--fail-exec", program, "/proc/self/comm").stdout
    few, more = (int(re.search(r"positions: (\d+)", text)[1]) for text in (usual, whole))
    assert more > few + 5
    (refused,) = re.findall(r"reports: status 126: cannot be executed: (.*)\n +(.*)", whole)
    again = command(*refused[1].split()[1:])
    assert again.returncode == 126
    assert refused[0] in again.stderr


@pytest.mark.parametrize(
    ("what", "reported"),
    [
        ([], {"mmap", "merge", "userfaultfd", "fault"}),
        (["--inject", "all:limit=NOFILE=3"], {"mq_open", "userfaultfd"}),
        (["--inject", "all:limit=MSGQUEUE=0"], {"mq_open"}),
        (["--inject", "mq_open,msgget,semget:error=ENOSPC"], {"mq_open", "msgget", "semget"}),
        (["--inject", "mq_timedsend,msgsnd,semop,semtimedop:error=EIO"], {"mq", "msg", "sem"}),
    ],
)
def test_objects_that_tasks_share(what: list[str], reported: set[str], tmp_path: Path) -> None:
    """Whatever fails is told: the program does not crash, hang or go on as if all were well."""
    program = build(tmp_path, OBJECTS)
    done = command("sweep", "--wall", str(SECONDS), "--uid", "0", *what, program)
    assert done.stdout.startswith("without a failure: status 0: 1\n"), done.stderr
    assert done.stderr == ""
    assert set(re.findall(r"reports: status 3: (\w+)", done.stdout)) == reported
    assert not re.search(r"\d  (crashes|hangs|goes on)", done.stdout)
