"""Unmodified static programs: the same output on the host and on this kernel."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import Deadlock
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.cli.main import main
from tests import commands
from tests.host import CPU, own_ipc
from tests.rounds import ROUNDS
from tests.system.conftest import FLAVOURS, Compile, Machine, on_host, same_as_host

BUSYBOX = Path(shutil.which("busybox") or "/bin/busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs a static busybox")
SEEDS = ("1", "2", "300")  # of random steps: the first, how many, and steps of each
HELLO = r"""
#include <stdio.h>
int main(int argc, char **argv) { printf("hello %d %.17g\n", argc, 1.0 / 3); return 7; }
"""


def test_what_ordinary_programs_call_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("breadth", "glibc")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def test_steps_over_the_slots_of_pipes_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("pipesteps", "glibc")
    same_as_host(machine, program, ["/tmp", *SEEDS], [str(tmp_path), *SEEDS])


def test_steps_over_sockets_as_on_the_host(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("socksteps", "glibc")
    same_as_host(machine, program, SEEDS, SEEDS)


def test_who_waits_for_a_pipe_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("pipewaits", "musl")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


@pytest.mark.parametrize("name", ["statx", "dirnotify", "leases", "mappedonly"])
def test_times_of_followed_links_watched_directories_and_leases_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, tmp_path: Path
) -> None:
    program = compile_c(name, "musl")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def test_requests_that_go_on_and_buffers_that_are_provided_as_on_the_host(
    compile_c: Compile, machine: Machine
) -> None:
    program = compile_c("multishot", "glibc")
    same_as_host(machine, program)


@pytest.mark.parametrize(
    "name",
    ["ringslots", "ringcalls", "ringrights", "ringstable", "ringfutex", "ringsizes", "ringbundles"],
)
def test_what_newer_kernels_do_by_rings_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, tmp_path: Path
) -> None:
    program = compile_c(name, "glibc")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def test_rings_of_io_uring_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("io_uring", "glibc")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def test_calls_of_the_i386_table_with_layouts_of_their_own_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("int80calls", "glibc")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def test_calls_of_the_i386_table_with_pointers_of_32_bits_as_on_the_host(
    compile_c: Compile, machine: Machine
) -> None:
    program = compile_c("int80messages", "glibc")
    same_as_host(machine, program)


def test_execve_of_what_is_no_program_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("noprogram", "musl")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


def test_what_every_kind_of_descriptor_answers_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("descriptors", "glibc")
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_execve_of_descriptors_and_scripts_as_on_the_host(
    compile_c: Compile, machine: Machine, flavour: str, tmp_path: Path
) -> None:
    program = compile_c("executing", flavour)
    same_as_host(machine, program, ["/tmp"], [str(tmp_path)])


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    "name",
    [
        *("pidfd", "pidfdioctl", "mdwe", "futex2", "faultaround", "pinned", "sizelimits"),
        *("strangers", "collapse", "prctls", "showntask", "operands", "operandsgone"),
        *("alarms", "pageflags", "timestamps", "packets", "oddmaps", "dispatch"),
        *("signallimits", "owncall", "resumeflag", "rwflags", "whiteouts", "encodings"),
        *("refusedmaps", "voidtimers", "extended", "cpuclocks", "schedattr", "adopted"),
        *("wchan", "memoryends"),
    ],
)
def test_same_output_as_on_the_host_for_the_same_user(
    compile_c: Compile, machine: Machine, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour)
    same_as_host(machine, program)


def test_a_tracer_with_the_right_suspends_seccomp(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("suspended", "glibc")
    machine.uid = 0
    assert machine.run(program).out == (
        b"set 0, ended by 0 with 5\nset 0, ended by 9 with 0\nunprivileged: EPERM\n"
    )


def test_time_of_nice_tasks_is_told_apart(compile_c: Compile, machine: Machine) -> None:
    program = compile_c(
        "#include <stdio.h>\n#include <unistd.h>\nint main(void) { char line[200]; nice(5);\n"
        "for (volatile int i = 0; i < 30000000; i++);\n"
        'fputs(fgets(line, 200, fopen("/proc/stat", "r")), stdout); return 0; }\n'
    )
    user, nice, system = map(int, machine.run(program).out.split()[1:4])
    assert nice > 10 * (user + 1) and system == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", ["semaphores", "messages", "queues", "signalfd"])
def test_semaphores_and_messages_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour)
    same_as_host(machine, program)


SPACES = ["usernamespaces", "pidnamespaces", "mountnamespaces", "newmounts", "hostile", "setid"]


@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        *((name, flavour) for name in SPACES for flavour in FLAVOURS),
        ("netnamespaces", "glibc"),  # which wants headers of Linux
        ("timenamespaces", "glibc"),
        ("statmounts", "glibc"),
        ("mountoptions", "glibc"),
        ("chattr", "glibc"),
        ("fileioctls", "glibc"),
        ("filecaps", "glibc"),
    ],
)
def test_namespaces_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour)
    same_as_host(machine, program)


@pytest.mark.sysctl(
    {"vm.max_map_count": 100, "vm.nonlinear": 1, "vm.nonlinear_emulated": 1},
)
def test_what_a_full_space_refuses_as_on_the_host(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("mapcount", "glibc")
    same_as_host(machine, program)


GIGANTIC_POOL = Path("/sys/kernel/mm/hugepages/hugepages-1048576kB")


@pytest.mark.skipif(not GIGANTIC_POOL.exists(), reason="the host has no pages of 1 GiB")
@pytest.mark.parametrize("name", ["gigantic", "largewatched"])
def test_mappings_of_pages_of_1_gib_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str
) -> None:
    sizes = (GIGANTIC_POOL / "nr_hugepages", GIGANTIC_POOL / "nr_overcommit_hugepages")
    if any(int(size.read_text()) for size in sizes):
        pytest.skip("the host has given memory to pages of 1 GiB")
    program = compile_c(name, "glibc")
    same_as_host(machine, program)


@pytest.mark.parametrize("name", ["mempolicy", "tmpfspolicy"])
def test_memory_policies_as_on_a_host_with_one_node(
    compile_c: Compile, machine: Machine, name: str
) -> None:
    if Path("/sys/devices/system/node/possible").read_text().strip() != "0":
        pytest.skip("the host has other nodes")
    program = compile_c(name, "glibc")
    same_as_host(machine, program)


def test_fault_around_of_a_disk_as_on_the_host(
    compile_c: Compile, machine: Machine, tmp_path: Path
) -> None:
    program = compile_c("faultaround", "glibc")
    machine.uid = os.getuid()
    machine.kernel.vfs.mount("/mnt", HostFs(tmp_path, Access.READ_WRITE))
    here, there = machine.run(program, "/mnt"), on_host(program, str(tmp_path))
    assert here.out.decode() == there.out.decode()
    assert here.status == there.status == 0


def test_sequences_and_locks_as_on_the_host(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("rseq", "musl")  # which registers no struct rseq of its own
    here, there = machine.run(program), on_host(program)
    assert here.out.decode() == there.out.decode()
    assert here.status == there.status == 0


@pytest.mark.parametrize(
    "name",
    ["userfaultfd", "userfaults", "userevents", "pagemapscan", "droppable", "fallocated"],
)
def test_userfaultfd_as_on_the_host(compile_c: Compile, machine: Machine, name: str) -> None:
    program = compile_c(name, "glibc")
    same_as_host(machine, program)


@pytest.mark.parametrize(
    "name",
    [
        "unixsockets", "inetsockets", "terminals", "terminalcalls", "asyncio", "seccomp", "int80",
        "unotify", "sharedobjects", "scmpidfd",
    ],
)  # fmt: skip
def test_sockets_and_terminals_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str
) -> None:
    program = compile_c(name, "glibc")
    same_as_host(machine, program)


@pytest.mark.boot(block_ns=100)  # RLIMIT_CPU counts seconds, which are soon over so
@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        *product(["threads"], ["musl", "glibc"]),
        *product(["threadsignals"], ["glibc", "musl"][:ROUNDS]),
    ],
)
def test_threads_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour, "-pthread")
    same_as_host(machine, program)


@pytest.mark.parametrize(
    "name",
    ["threadlocks", "threadrules", "threaduffd", "threaduffdends", "keptfiles", "tracedexec"],
)
def test_locks_and_rules_of_threads_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str
) -> None:
    program = compile_c(name, "glibc", "-pthread")
    same_as_host(machine, program)


# A program that may lie anywhere has the same C library; where it lies matters to these.
ANYWHERE = ("memory", "processes", "signals")


@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        *product(
            [
                *["again", "signals", "processes", "memory", "waiting", "sockets", "splice"],
                *["timers", "epoll", "tracedsignals"],
            ],
            FLAVOURS,
        ),
        *(pytest.param("clocks", flavour, marks=pytest.mark.long) for flavour in FLAVOURS),
        *product(ANYWHERE, ["pie"]),
    ],
)
def test_same_output_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour)
    here, there = machine.run(program), on_host(program)
    assert here.out.decode() == there.out.decode()
    assert here.status == there.status == 0


@pytest.mark.boot(cpu=CPU)
@pytest.mark.parametrize("flavour", ["musl", "glibc", "pie"])
def test_handlers_are_told_what_the_hosts_are(
    compile_c: Compile, machine: Machine, flavour: str
) -> None:
    program = compile_c("errorcodes", flavour)
    here, there = machine.run(program), on_host(program)
    assert here.out.decode() == there.out.decode()
    assert here.status == there.status == 0


@pytest.mark.parametrize("flavour", ["musl", "glibc", "pie"])
def test_hello(compile_c: Compile, machine: Machine, flavour: str) -> None:
    ran = machine.run(compile_c(HELLO, flavour), "one")
    assert (ran.out, ran.status) == (b"hello 2 0.33333333333333331\n", 7 << 8)


def test_one_system_call_of_each_kind_of_libc(compile_c: Compile, machine: Machine) -> None:
    """A program without a C library: nothing but an entry and a system call."""
    source = r"""
    __asm__(".globl _start\n_start: mov (%rsp), %rdi\n mov $60, %eax\n syscall\n");
    """
    ran = machine.run(compile_c(source, "musl", "-nostdlib"), "a", "b")
    assert ran.status == 3 << 8


# ---- busybox ----


def busybox(machine: Machine, *arguments: str, stdin: bytes = b"") -> bytes:
    ran = machine.run(BUSYBOX, *arguments, stdin=stdin)
    assert ran.status == 0, ran.err
    return ran.out


@needs_busybox
def test_busybox_tools_on_real_data(machine: Machine) -> None:
    data = Path(sys.executable).read_bytes()[:300_000]
    assert busybox(machine, "sha256sum", stdin=data).split()[0].decode() == (
        hashlib.sha256(data).hexdigest()
    )
    packed = busybox(machine, "gzip", "-c", stdin=data)
    assert gzip.decompress(packed) == data
    assert busybox(machine, "gunzip", "-c", stdin=packed) == data


@needs_busybox
def test_busybox_sort_and_awk_agree_with_the_hosts(machine: Machine) -> None:
    text = "".join(f"{i * 7919 % 1000} line {i}\n" for i in range(2000)).encode()
    for command in (["sort", "-n"], ["awk", "{s += $1} END {print s, NR, s / NR}"], ["wc"]):
        there = on_host(BUSYBOX, *command, stdin=text)
        assert busybox(machine, *command, stdin=text) == there.out


SCRIPT = """
set -e
for i in 3 1 2; do echo $i; done | sort | while read n; do echo "n=$n"; done
x=$(seq 1000 | awk '{s += $1} END {print s}')
echo sum $x
f() { echo "in a function: $1"; return 4; }
f here || echo status $?
(exit 5) || echo subshell $?
trap 'echo trapped' USR1
kill -USR1 $$
echo "a b  c" | tr ' ' '\\n' | grep -c .
cat <<EOF | cat | cat
here $x
EOF
yes | head -2
sleep 1 & wait $!
echo waited $?
case abc in a*) echo matched;; esac
printf '%05d %s\\n' 42 end
"""


@needs_busybox
def test_a_shell_script_with_pipes(machine: Machine) -> None:
    there = on_host(BUSYBOX, "sh", "-c", SCRIPT)
    assert busybox(machine, "sh", "-c", SCRIPT) == there.out


@needs_busybox
def test_a_script_file_finds_its_interpreter(machine: Machine, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{BUSYBOX} sh\necho $0 $1 $#\n")
    script.chmod(0o755)
    busybox(machine, "true")
    ran = machine.run(script, "x", "y")
    assert ran.out.decode() == f"{script} x 2\n"


GATE = "cat /proc/self/maps; echo 1 > /proc/sys/vm/nonlinear; cat /proc/sys/vm/nonlinear; ps"


@needs_busybox
def test_root_opens_the_gate_from_inside(machine: Machine) -> None:
    machine.uid = 0
    ran = machine.run(BUSYBOX, "sh", "-c", GATE)
    text = ran.out.decode()
    assert f"{BUSYBOX}\n" in text and "[stack]" in text and "[heap]" in text
    assert "\n1\n" in text and "init" in text
    assert machine.kernel.sysctl["vm.nonlinear"] == 1


@needs_busybox
def test_a_user_is_refused_at_the_gate(machine: Machine) -> None:
    ran = machine.run(BUSYBOX, "sh", "-c", GATE)
    assert b"Permission denied" in ran.err
    assert machine.kernel.sysctl["vm.nonlinear"] == 0


@needs_busybox
def test_reading_what_no_one_writes_is_a_deadlock_with_a_report(machine: Machine) -> None:
    with pytest.raises(Deadlock, match=r"pid \d+ \(busybox\): poll: descriptor 0 \(/tmp/f\)"):
        machine.run(BUSYBOX, "sh", "-c", "mkfifo /tmp/f; exec 3<>/tmp/f; read x <&3")
    assert any("nothing can wake" in line for line in machine.kernel.log.lines())


WAITS = """\
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int word = 0, ends[2];

	pipe(ends);
	if (fork() == 0) {
		if (fork() == 0)
			read(ends[0], &word, 1);
		syscall(SYS_futex, &word, 0, 0, NULL);
	}
	waitpid(3, NULL, 0);
	return 0;
}
"""


def test_a_deadlock_tells_once_who_waits_for_what(
    compile_c: Compile, capfd: pytest.CaptureFixture[str]
) -> None:
    program = str(compile_c(WAITS))
    assert main(["run", program]) == 1
    report = capfd.readouterr().err
    assert re.fullmatch(
        r"pkern: every task waits and nothing can wake one:\n"
        r"  pid 2 \(program\d*\): wait4: child 3\n"
        r"  pid 3 \(program\d*\): futex: the word at 0x[0-9a-f]+\n"
        r"  pid 4 \(program\d*\): read: descriptor 3 \(pipe:\[\d+\]\)\n",
        report,
    )


# What Linux 6.18 prints with vm.nr_hugepages = 4, as root.
HUGE_PAGES = """\
start: 4 pages, 4 free, 0 promised
aligned 1
mapped: 4 pages, 4 free, 2 promised
touched: 4 pages, 2 free, 0 promised
too many: -1, error 12
munmap of a part: -1, error 22
mprotect of a part: -1, error 22
copied: 4 pages, 1 free, 0 promised
child 16, here 7
grow: -1, error 22
unmapped: 4 pages, 4 free, 0 promised
4 pages, then SIGBUS code 2
segment: 4 pages, 3 free, 0 promised
segment 1 3
mount: 0
ftruncate: 0
4194304 bytes in blocks of 2097152
write: -1, error 22
unlink: 0
umount: 0
memfd 1
end: 4 pages, 4 free, 0 promised
"""


def test_memory_of_large_pages(compile_c: Compile) -> None:
    with Kernel(ram="64M", sysctl={"vm.nr_hugepages": 4}) as kernel:
        ran = Machine(kernel, uid=0).run(compile_c("hugepages"))
        kernel.check()
    assert (ran.status, ran.out.decode()) == (0, HUGE_PAGES)


VSYSCALLS = r"""
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <sys/wait.h>
enum { SET = 0x56535953, GET };
static long (*const fixed_time)(long *) = (void *)0xffffffffff600400;
static void show(const char *who) {
    printf("%s: %d, time %d\n", who, prctl(GET), fixed_time(0) > 0);
    fflush(stdout);
}
int main(int argc, char **argv) {
    if (argc > 1) return show("executed"), 0;
    show("at first");
    prctl(SET, 0);
    show("set");
    if (!fork()) return show("child"), execl("/proc/self/exe", "x", "again", (char *)0);
    wait(0);
    prctl(SET, 1);
    show("set back");
    return prctl(SET, 2) == -1 ? 0 : 1;
}
"""


@pytest.mark.parametrize(("sysctl", "traps"), [(1, 3), (0, 5)])
def test_the_vsyscalls_of_one_task(compile_c: Compile, sysctl: int, traps: int) -> None:
    program = compile_c(VSYSCALLS)
    setting = f"kernel.vsyscall64={sysctl}"
    done = pkern("run", "--uid", "0", "--sysctl", setting, "--strace", str(program))
    shown = [f"{who}, time 1" for who in ("at first: 1", "set: 0", "child: 0", "executed: 0")]
    assert done.stdout.decode().splitlines() == [*shown, "set back: 1, time 1"]
    assert done.stderr.count(b"time(NULL)") == traps
    assert b"PR_SET_VSYSCALL, 0" in done.stderr


MOUNT = """
mkdir /tmp/m; mount -t tmpfs -o size=1m,mode=700 none /tmp/m || exit 3
df /tmp/m | tail -1
mount | grep /tmp/m
dd if=/dev/zero of=/tmp/m/x bs=1k count=2000 2>&1 | head -1
stat -c '%s %a' /tmp/m/x /tmp/m
df /tmp/m | tail -1
mount -o remount,ro /tmp/m; echo b > /tmp/m/x
cd /tmp/m; umount /tmp/m; cd /
umount /tmp/m && ls /tmp/m; umount /tmp/m
"""
MOUNTED = """\
none                      1024         0      1024   0% /tmp/m
none on /tmp/m type tmpfs (rw,relatime,size=1024k,mode=700)
dd: error writing '/tmp/m/x': No space left on device
1048576 644
60 700
none                      1024      1024         0 100% /tmp/m
"""
REFUSED = """\
sh: can't create /tmp/m/x: Read-only file system
umount: can't unmount /tmp/m: Device or resource busy
umount: can't unmount /tmp/m: Invalid argument
"""


@needs_busybox
def test_busybox_mounts_tmpfs_as_root(machine: Machine) -> None:
    machine.uid = 0
    ran = machine.run(BUSYBOX, "sh", "-c", MOUNT)
    assert (ran.out.decode(), ran.err.decode()) == (MOUNTED, REFUSED)


@needs_busybox
def test_a_user_mounts_nothing(machine: Machine) -> None:
    ran = machine.run(BUSYBOX, "sh", "-c", MOUNT)
    assert ran.status == 3 << 8 and b"permission denied" in ran.err


# ---- what ends a run ----


def test_orphans_end_with_the_machine(compile_c: Compile, machine: Machine) -> None:
    source = r"""
    #include <unistd.h>
    int main(void) { if (!fork()) for (;;) pause(); return 0; }
    """
    assert machine.run(compile_c(source)).status == 0
    machine.kernel.check()


def test_a_fork_bomb_meets_pid_max(compile_c: Compile) -> None:
    source = r"""
    #include <errno.h>
    #include <stdio.h>
    #include <unistd.h>
    int main(void) {
        int n = 0;
        for (;;) {
            int pid = fork();
            if (!pid) for (;;) pause();
            if (pid < 0) break;
            n++;
        }
        printf("%d %d\n", n, errno == EAGAIN || errno == ENOMEM);
        return 0;
    }
    """
    with Kernel("32M", sysctl={"vm.oom_policy": "kill_allocating"}) as kernel:
        ran = Machine(kernel).run(compile_c(source))
        made, refused = ran.out.split()
        assert int(made) > 50 and refused == b"1"
        kernel.check()


def test_an_endless_loop_is_preempted(compile_c: Compile, machine: Machine) -> None:
    source = r"""
    #include <signal.h>
    #include <stdio.h>
    #include <sys/wait.h>
    #include <unistd.h>
    int main(void) {
        int pid = fork(), status;
        if (!pid) for (;;) ;
        usleep(50000);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        printf("%d\n", WTERMSIG(status));
        return 0;
    }
    """
    assert machine.run(compile_c(source)).out == b"9\n"


def test_every_signal_of_the_clock_comes_in_order(compile_c: Compile, machine: Machine) -> None:
    source = r"""
    #include <stdio.h>
    #include <time.h>
    #include <unistd.h>
    #include <sys/wait.h>
    int main(void) {
        setvbuf(stdout, 0, _IONBF, 0);
        for (int i = 5; i > 0; i--)
            if (!fork()) { sleep(i); printf("%d ", i); _exit(0); }
        while (wait(0) > 0) ;
        return 0;
    }
    """
    assert machine.run(compile_c(source)).out == b"1 2 3 4 5 "


# ---- translations ----


@pytest.mark.parametrize("name", ["memory", "processes"])
def test_no_stale_translation_is_ever_used(compile_c: Compile, machine: Machine, name: str) -> None:
    """The audit compares every translation given out with a fresh walk before each entry."""
    program = compile_c(name, "musl")
    task = machine.spawn(program)
    scheduler = machine.kernel.scheduler
    assert scheduler is not None
    lib.run_set_audit(scheduler.processor.handle, lib.RUN_AUDIT_ON)
    scheduler.run(task)
    assert b"".join(machine.out) == on_host(program).out
    assert scheduler.processor.counters.tlb_fills > 100


def test_the_audit_finds_a_translation_that_the_tables_do_not_give(
    compile_c: Compile, machine: Machine
) -> None:
    """A downgrade whose generation is put back, as a forgotten flush would leave it."""
    source = r"""
    #include <sys/mman.h>
    #include <unistd.h>
    int main(void) {
        char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (;;) { p[0] = 1; getppid(); mprotect(p, 4096, PROT_READ); getuid(); }
    }
    """
    task = machine.spawn(compile_c(source))
    scheduler = machine.kernel.scheduler
    assert scheduler is not None
    lib.run_set_audit(scheduler.processor.handle, lib.RUN_AUDIT_ON)
    mprotect = scheduler.calls.table[10]

    def forgetful(task, *registers):  # type: ignore[no-untyped-def]
        before = task.mm.counters.tlb_generation
        result = mprotect(task, *registers)
        if task.name.startswith("program") and registers[1] == 4096:
            task.mm.counters.tlb_generation = before
        return result

    scheduler.calls.table[10] = forgetful
    with pytest.raises(RuntimeError, match="stale translation"):
        scheduler.run(task)


# ---- the log ----

WRONG = r"""
#include <stdlib.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    switch (atoi(argv[1])) {
    case 0: *(volatile int *)8 = 1; break;
    case 1: __asm__ volatile("ud2"); break;
    case 2: __asm__ volatile("hlt"); break;
    case 3: __asm__ volatile("int3"); break;
    case 4: __asm__ volatile("div %0" : : "r"(0) : "rax", "rdx"); break;
    case 5: ((void (*)(void))(mmap(0, 4096, 3, 34, -1, 0)))(); break;
    }
}
"""
PLACE = "in wrong[N,N+N]"
LOGGED = {
    "0": f"wrong[2]: segfault at 8 ip N sp N error 6 {PLACE} likely on CPU 0 (core 0, socket 0)",
    "1": f"traps: wrong[2] trap invalid opcode ip:N sp:N error:0 {PLACE}",
    "2": f"traps: wrong[2] general protection fault ip:N sp:N error:0 {PLACE}",
    "3": f"traps: wrong[2] trap int3 ip:N sp:N error:0 {PLACE}",
    "4": f"traps: wrong[2] trap divide error ip:N sp:N error:0 {PLACE}",
    "5": "wrong[2]: segfault at N ip N sp N error 15 likely on CPU 0 (core 0, socket 0)",
}


@pytest.mark.parametrize("wrong", LOGGED)
def test_what_nobody_handles_is_in_the_log_as_linux_words_it(
    compile_c: Compile, machine: Machine, tmp_path: Path, wrong: str
) -> None:
    program = tmp_path / "wrong"
    shutil.copy(compile_c(WRONG), program)
    machine.run(program, wrong)
    lines = [record.text for record in machine.kernel.log.records()]
    shown = [re.sub(r"\b[0-9a-f]{4,16}\b", "N", line) for line in lines]
    assert LOGGED[wrong] in shown
    if wrong == "0":
        assert any(re.fullmatch(r"Code:( <?[0-9a-f]{2}>?){64}", line) for line in lines)
    if wrong == "5":
        assert any(line.startswith("Code: Unable to access") for line in lines)


def test_the_log_is_silent_about_faults_if_asked(compile_c: Compile, machine: Machine) -> None:
    machine.kernel.sysctl["debug.exception-trace"] = 0
    machine.run(compile_c(WRONG), "0")
    assert not any("segfault" in record.text for record in machine.kernel.log.records())


# ---- the command line ----


def pkern(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return commands.pkern(*arguments, cwd=cwd, text=False)


def test_run_from_the_command_line(compile_c: Compile, tmp_path: Path) -> None:
    shutil.copy(compile_c(HELLO), tmp_path / "hello")
    done = pkern("run", "./hello", "x", "y", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, b"hello 3 0.33333333333333331\n")


def test_a_dynamic_program_runs_where_its_loader_is(tmp_path: Path) -> None:
    source, program = tmp_path / "hello.c", tmp_path / "hello"
    source.write_text('#include <stdio.h>\nint main(void) { puts("dynamic"); return 3; }\n')
    subprocess.run(["gcc", "-o", program, source], check=True)
    refused = pkern("run", str(program))
    assert refused.returncode == 127
    assert b"its loader is not on the machine" in refused.stderr
    done = pkern("run", "--root", "/", "--", "/bin/sh", "-c", "echo $((6 * 7)); exit 3")
    assert (done.returncode, done.stdout) == (3, b"42\n")


@needs_busybox
def test_run_in_a_root_of_the_hosts(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(BUSYBOX, tmp_path / "bin/busybox")
    (tmp_path / "bin/sh").symlink_to("busybox")
    (tmp_path / "note").write_text("from the host\n")
    tmp_path.chmod(0o755)
    script = "cat /note; ls /; echo x > /note; echo status $?; echo y > /tmp/z; cat /tmp/z"
    done = pkern("run", "--root", str(tmp_path), "--", "/bin/sh", "-c", script)
    lines = done.stdout.decode().split("\n")
    assert lines[0] == "from the host" and "proc" in lines and lines[-2] == "y"
    assert b"Read-only" in done.stderr
    assert (tmp_path / "note").read_text() == "from the host\n"


@needs_busybox
@pytest.mark.parametrize("seed", ["0", "1"])
def test_run_twice_makes_the_same_trace(seed: str) -> None:
    script = "seq 50 | sort -r | tail -1; sleep 3 & (sleep 1; echo one); wait; echo $RANDOM"
    done = pkern("run", "--twice", "--seed", seed, str(BUSYBOX), "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert re.search(rb"both runs made the same \d+ lines", done.stderr)


def test_the_seed_decides_random_bytes(compile_c: Compile) -> None:
    source = r"""
    #include <stdio.h>
    #include <sys/auxv.h>
    int main(void) {
        unsigned char *r = (void *)getauxval(AT_RANDOM);
        for (int i = 0; i < 16; i++) printf("%02x", r[i]);
        return 0;
    }
    """
    seen = []
    for seed in (0, 0, 1):
        with Kernel(seed=seed) as kernel:
            seen.append(Machine(kernel).run(compile_c(source)).out)
    assert seen[0] == seen[1] != seen[2]


def strace_works() -> bool:
    """Say whether the host's strace is here and may trace."""
    if shutil.which("strace") is None:
        return False
    return not subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode


@pytest.mark.skipif(not strace_works(), reason="needs a strace that may trace")
@pytest.mark.parametrize("source", ["calls", "morecalls", "rarecalls"])
def test_strace_prints_what_strace_prints(compile_c: Compile, tmp_path: Path, source: str) -> None:
    if source != "calls" and os.getuid():
        pytest.skip("needs root on the host")
    program = compile_c(source, "musl")
    log = tmp_path / "log"
    niceness = str(-os.nice(0))  # the programs here start with 0
    command = ["nice", "-n", niceness, "strace", "-f", "-a", "40", "-o", str(log), str(program)]
    own_ipc()
    subprocess.run(command, check=False, capture_output=True, start_new_session=True)
    there = [strip(line) for line in log.read_text().splitlines()]
    done = pkern("run", "--uid", str(os.getuid()), "--strace", str(program))
    here = [strip(line) for line in done.stderr.decode().splitlines()]
    assert here == there


VARYING = r"\b((?:orig_)?r\w\w?|r1\d|fs_base|mxcr_mask|si_pid|si_uid)=\w+"


def requests(lines: str) -> list[str]:
    """Return the lines of a tracer's ptrace, without what differs from run to run."""
    told = [strip(line) for line in lines.splitlines()]
    kept = [line for line in told if line.startswith("ptrace") and "TRACEME" not in line]
    return [re.sub(VARYING, r"\1", re.sub(r"(ptrace\(\w+, )\d+", r"\1", line)) for line in kept]


@pytest.mark.skipif(not strace_works(), reason="needs a strace that may trace")
def test_strace_of_a_tracer(compile_c: Compile, tmp_path: Path) -> None:
    program, log = compile_c("tracer"), tmp_path / "log"
    subprocess.run(["strace", "-o", str(log), str(program)], check=False, start_new_session=True)
    here = requests(pkern("run", "--strace", str(program)).stderr.decode())
    assert here == requests(log.read_text()) and len(here) == 14


def strip(line: str) -> str:
    """Leave out what differs from run to run: pids, addresses, environment, time left, padding.

    And the scheduler's slice, which follows from the number of the host's processors.
    """
    line = re.sub(r"^\d+ +|^\[pid +\d+\] ", "", line)
    line = re.sub(r"0x[0-9a-f]{6,}", "ADDR", line)
    line = re.sub(r"sched_runtime=\d+", "sched_runtime=SLICE", line)
    line = re.sub(r"(set_tid_address\(ADDR\) .*= )\d+", r"\1PID", line)
    line = re.sub(r"/\* \d+ vars \*/", "VARS", line)
    line = re.sub(r"left \{tv_sec=0, tv_nsec=\d+\}", "LEFT", line)
    return re.sub(r" += ", " = ", line)


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program\n")
    done = pkern("run", str(tmp_path / "text"))
    assert done.returncode == 126 and b"Permission denied" in done.stderr
    (tmp_path / "text").chmod(0o755)
    done = pkern("run", str(tmp_path / "text"))
    assert done.returncode == 126 and b"neither an ELF program nor a script" in done.stderr
    done = pkern("run", str(tmp_path / "nothing"))
    assert done.returncode == 127 and b"there is no file" in done.stderr


def test_a_python_program_cannot_execute_what_is_not_there(kernel: Kernel) -> None:
    from pkern.userland.program import Sys

    sys_ = Sys(kernel.spawn())
    with pytest.raises(FileNotFoundError):
        sys_.execve("/bin/none", ["none"], [])
    sys_.exit(0)
