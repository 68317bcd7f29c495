"""The guest kernel: the same output as on the host, in both modes; its clock; its limits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.cli.main import main
from pkern.userland.uml.kernel import Config, GuestPanic
from pkern.userland.uml.memory import FrameOrder
from pkern.userland.uml.run import CannotBoot, UmlResult, prepare, run_uml
from tests.commands import SECONDS
from tests.host import without_execute_only
from tests.rounds import ROUNDS
from tests.system.conftest import PROGRAMS, ROOT, Compile, on_host

pytestmark = pytest.mark.usefixtures("programs")

DAY = 86_400
MODES = {"mmap": 0, "nonlinear": 1}
SAME_AS_HOST = [
    ["coherence"],
    ["cow"],
    ["forks", "12", "300", "40"],
    ["heap"],
    ["mremap"],
    ["shared"],
    ["storm", str(60 * ROUNDS), "1"],
    ["vsyscall"],
    ["window"],
    ["bench", "getppid", "300"],
    ["bench", "mmap", "20"],
    ["bench", "fork", "20"],
    ["bench", "exec", "4"],
    ["bench", "switch", "50"],
    ["bench", "compute", "100000"],
    ["bench", "random-1m", "20000"],
]
HEADER = '#include "raw.h"\n'


def guest(
    argv: list[str], config: Config | None = None, ram: str = "96M", **sysctl: int
) -> tuple[UmlResult, str]:
    """Run a program under a guest kernel; return the result and what it printed."""
    program = Path(argv[0]) if "/" in argv[0] else PROGRAMS / argv[0]
    output: list[bytes] = []
    settings: dict[str, int | str] = {n.replace("__", "."): v for n, v in sysctl.items()}
    with Kernel(ram=ram, sysctl=settings) as kernel:
        result = run_uml(kernel, program, argv[1:], config, output.append)
        kernel.check()
    return result, b"".join(output).decode()


def compiled(folder: Path, body: str) -> list[str]:
    """Compile a program of a few lines and return its argv."""
    source, program = folder / "small.c", folder / "small"
    source.write_text(HEADER + body)
    include = f"-I{ROOT / 'userland/programs'}"
    flags = ["-std=gnu11", "-O1", "-static", "-fno-pie", "-no-pie", include]
    subprocess.run(["gcc", *flags, str(source), "-o", str(program)], check=True)
    return [str(program)]


# ---- the same as on the host ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("argv", SAME_AS_HOST, ids=" ".join)
def test_prints_what_it_prints_on_the_host(argv: list[str], mode: str) -> None:
    host = subprocess.run(
        [PROGRAMS / argv[0], *argv[1:]],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=SECONDS,
        start_new_session=True,
    )
    result, output = guest(argv, vm__nonlinear=MODES[mode])
    assert (result.mode, output, result.exit_status) == (mode, host.stdout, host.returncode)


@pytest.mark.parametrize("order", list(FrameOrder))
def test_the_order_of_frames_changes_nothing_the_guest_sees(order: FrameOrder) -> None:
    _, output = guest(["cow"], Config(order=order))
    assert output.startswith("31 processes of 31 agree\n")


def test_two_runs_are_the_same() -> None:
    one, two = (guest(["forks", "5"], vm__nonlinear=1) for _ in range(2))
    assert one == two


# ---- one VMA, or one a page ----


def test_one_vma_against_one_a_page() -> None:
    pages = 400
    nonlinear, _ = guest(["forks", "2", str(pages)], vm__nonlinear=1)
    mmap, _ = guest(["forks", "2", str(pages)])
    assert nonlinear.stats.vmas == 1
    assert mmap.stats.vmas > pages
    assert (nonlinear.stats.traps, nonlinear.stats.switches) == (
        mmap.stats.traps,
        mmap.stats.switches,
    )


def test_neighbours_in_both_orders_share_a_vma() -> None:
    config = Config(order=FrameOrder.ASCENDING)
    result, _ = guest(["forks", "1", "400"], config)
    assert result.stats.vmas < 100


@pytest.mark.parametrize(
    "sysctl", [{"vm__max_map_count": 200}, {"vm__nonlinear": 1, "vm__nonlinear_max_pages": 200}]
)
def test_at_the_host_s_limit_pages_are_dropped_and_come_back(sysctl: dict[str, int]) -> None:
    free, output = guest(["forks", "3", "300"])
    limited, same = guest(["forks", "3", "300"], **sysctl)
    assert same == output
    assert free.stats.evictions == 0
    assert limited.stats.evictions > 0


# ---- nothing passes the guest kernel by ----


@pytest.mark.parametrize("mode", MODES)
def test_no_call_of_a_guest_process_reaches_the_host(mode: str) -> None:
    def refuse(*args: Any) -> int:
        raise AssertionError(f"a guest's system call was made by the host: {args}")

    with Kernel(ram="96M", sysctl={"vm.nonlinear": MODES[mode]}) as kernel:
        prepare(kernel)
        assert kernel.scheduler is not None
        kernel.scheduler.calls.use({})
        kernel.scheduler.calls.missing = refuse
        result = run_uml(kernel, PROGRAMS / "forks", ["3"])
    assert (result.exit_status, result.stats.forks) == (0, 3)


def test_traps_are_those_of_the_program() -> None:
    few, _ = guest(["bench", "getppid", "100"])
    many, _ = guest(["bench", "getppid", "600"])
    assert many.stats.calls - few.stats.calls == 500
    assert many.stats.faults == few.stats.faults


def test_frames_and_host_memory_come_back() -> None:
    """At the end only the program's own file is left in guest memory."""
    for mode in MODES.values():
        result, _ = guest(["forks", "8"], vm__nonlinear=mode)
        file_pages = -(-(PROGRAMS / "forks").stat().st_size // 4096)
        assert result.frames_used == file_pages


# ---- the clock ----


def times(output: str) -> dict[str, list[int]]:
    """Return the seconds by who answered."""
    found: dict[str, list[int]] = {}
    for line in output.splitlines():
        who, _, rest = line.partition(": ")
        words = rest.split()
        assert words[1].split(".")[0] == words[3]
        found.setdefault(who, []).append(int(words[3]))
    return found


@pytest.mark.parametrize("mode", MODES)
def test_fast_vsyscalls_show_the_host_s_time(mode: str) -> None:
    """The bug of the letter: nobody asks the guest kernel."""
    config = Config(clock_lead_ns=DAY * 10**9)
    result, output = guest(["clock", "3"], config, vm__nonlinear=MODES[mode])
    seen = times(output)
    assert {b - a for a, b in zip(seen["vsyscall"], seen["syscall"], strict=True)} == {DAY}
    assert (result.vsyscall_traps, result.vsyscall_selects) == (0, 0)


@pytest.mark.parametrize(
    "way", [{"kernel__vsyscall64": 0}, {"kernel__revirt_vsyscalls": 1}, {"prctl": 0}], ids=str
)
def test_revirtualised_vsyscalls_show_the_guest_s_time(way: dict[str, int]) -> None:
    way = dict(way)
    by_task = "prctl" in way
    config = Config(clock_lead_ns=DAY * 10**9, task_vsyscalls=way.pop("prctl", 1))
    result, output = guest(["clock", "3"], config, **way)
    fast, _ = guest(["clock", "3"])
    seen = times(output)
    assert seen["vsyscall"] == seen["syscall"]
    assert result.vsyscall_traps == 3 * 3
    assert result.stats.calls == fast.stats.calls + 3 * 3
    assert (result.vsyscall_selects > 2 * result.stats.traps - 3) is by_task
    assert by_task or result.vsyscall_selects == 0


def test_the_guest_s_clock_may_be_behind() -> None:
    _, output = guest(["clock"], Config(clock_lead_ns=-DAY * 10**9))
    seen = times(output)
    assert seen["syscall"][0] - seen["vsyscall"][0] == -DAY


# ---- signals in the guest ----


@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        ("guestsignals", "musl"),
        ("guestsignals", "glibc"),
        ("signals", "glibc"),
        ("processes", "musl"),
        ("processes", "glibc"),
        pytest.param("clocks", "musl", marks=pytest.mark.long),
        ("memory", "glibc"),
    ],
)
def test_signals_and_families_are_as_on_the_host(
    compile_c: Compile, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour)
    expected = on_host(program).out.decode()
    for mode in MODES.values():
        config = Config(ram=96 << 20)
        result, output = guest([str(program)], config, ram="256M", vm__nonlinear=mode)
        assert (output, result.exit_status) == (expected, 0)


@pytest.mark.parametrize("mode", MODES)
def test_handlers_in_a_guest_are_told_what_the_hosts_are(compile_c: Compile, mode: str) -> None:
    """A guest's processor has no protection keys, whatever the host's has."""
    program = compile_c("errorcodes", "musl")
    expected = without_execute_only(on_host(program).out)
    result, output = guest(
        [str(program)], Config(ram=96 << 20), ram="256M", vm__nonlinear=MODES[mode]
    )
    assert without_execute_only(output.encode()) == expected
    assert result.exit_status == 0


SHELL = """
echo hi; x=$(echo sub); echo $x; (exit 3); echo $?; echo a | cat
for i in 3 1 2; do echo $i; done | sort | tail -1
began=$(date +%s); sleep 2; echo slept $(( $(date +%s) - began ))
trap "echo got" USR1; kill -USR1 $$
sleep 9 & kill -STOP $!; kill -CONT $!; kill $!; wait $!; echo $?
timeout 1 sleep 9; echo $?
cd /tmp; echo x > f; cat f; test -f f && echo yes; rm f; test -f f || echo no
"""


@pytest.mark.skipif(shutil.which("busybox") is None, reason="needs a static busybox")
def test_a_shell_runs_in_a_guest() -> None:
    argv = [str(shutil.which("busybox")), "sh", "-c", SHELL]
    outputs = []
    for mode in MODES.values():
        result, output = guest(argv, vm__nonlinear=mode)
        assert result.exit_status == 0
        outputs.append(output)
    assert outputs[0] == outputs[1]
    expected = "hi sub 3 a 3 slept 2 got 143 143 x yes no"
    assert " ".join(outputs[0].split()) == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_calls_in_a_guest(compile_c: Compile, seed: int) -> None:
    argv = [str(compile_c("anything")), str(seed), "15", "0", "470"]
    for mode in MODES.values():
        result, output = guest(argv, vm__nonlinear=mode)
        assert (output, result.exit_status) == ("15\n", 0)


# ---- what goes wrong in a guest ----


def test_a_wild_store_ends_the_guest_process_only(tmp_path: Path) -> None:
    argv = compiled(
        tmp_path,
        """int main(void) {
            if (sys_fork() == 0) *(volatile int *)8 = 1;
            say("child: %d\\n", reap());
            if (sys_fork() == 0) ((void (*)(void))map_anonymous(PAGE))();
            say("child: %d\\n", reap());
            volatile int zero = 0;
            if (sys_fork() == 0) sys_exit(10 / zero);
            say("child: %d\\n", reap());
            return 7;
        }""",
    )
    for mode in MODES.values():
        result, output = guest(argv, vm__nonlinear=mode)
        assert output == "child: 139\nchild: 139\nchild: 136\n"
        assert result.exit_status == 7
        assert sum("killed by signal 11" in line for line in result.log) == 2


@pytest.mark.parametrize("mode", MODES)
def test_ranges_that_no_program_has_are_refused_as_on_the_host(tmp_path: Path, mode: str) -> None:
    argv = compiled(
        tmp_path,
        """int main(void) {
            const long addrs[] = { 1l << 45, (1l << 45) + 1, 1l << 46,
                                   (1l << 47) - PAGE, 1l << 47, -PAGE };
            const long sizes[] = { 0, 1, PAGE + 1, 1l << 46, 1l << 47, 1l << 62, -PAGE, -1 };
            const int calls[] = { SYS_munmap, SYS_mprotect, SYS_madvise, SYS_msync };
            const int flags = MAP_NORESERVE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
            for (int a = 0; a < 6; a++)
                for (int s = 0; s < 8; s++) {
                    for (int c = 0; c < 4; c++)
                        say("%d %lx %lx: %ld\\n", calls[c], addrs[a], sizes[s],
                            raw3(calls[c], addrs[a], sizes[s], c == 3 ? MS_SYNC : 0));
                    say("mmap %lx %lx: %ld\\n", addrs[a], sizes[s],
                        raw6(SYS_mmap, addrs[a], sizes[s], PROT_NONE, flags, -1, 0) % PAGE);
                    say("mremap %lx %lx: %ld\\n", addrs[a], sizes[s],
                        raw6(SYS_mremap, addrs[a], PAGE, sizes[s], MREMAP_MAYMOVE, 0, 0) % PAGE);
                }
            return 0;
        }""",
    )
    _, output = guest(argv, vm__nonlinear=MODES[mode])
    assert output == on_host(Path(argv[0])).out.decode()


def test_a_guest_out_of_memory_kills_in_the_guest(tmp_path: Path) -> None:
    argv = compiled(
        tmp_path,
        """int main(void) {
            if (sys_fork() == 0) memset(map_anonymous(64 << 20), 1, 64 << 20);
            say("child: %d\\n", reap());
            memset(map_anonymous(1 << 20), 1, 1 << 20);
            say("memory is back\\n");
        }""",
    )
    result, output = guest(argv, Config(ram=8 << 20))
    assert output == "child: 137\nmemory is back\n"
    assert any("out of memory" in line for line in result.log)


def test_who_waits_for_ever_is_named(tmp_path: Path) -> None:
    argv = compiled(
        tmp_path,
        """int main(void) {
            int ends[2];
            char byte;
            raw3(SYS_pipe, (long)ends, 0, 0);
            raw3(SYS_read, ends[0], (long)&byte, 1);
        }""",
    )
    with Kernel(ram="96M") as kernel, pytest.raises(GuestPanic, match=r"waits.*1 \(small\)"):
        run_uml(kernel, Path(argv[0]))


def test_processes_take_turns_over_a_pipe(tmp_path: Path) -> None:
    argv = compiled(
        tmp_path,
        """int main(void) {
            int ends[2];
            char line[4096], got;
            long total = 0, count;
            raw3(SYS_pipe, (long)ends, 0, 0);
            if (sys_fork() == 0) {
                memset(line, 'x', sizeof(line));
                for (int i = 0; i < 100; i++) must(sys_write(ends[1], line, 4096) == 4096, "write");
                sys_exit(0);
            }
            sys_close(ends[1]);
            while ((count = raw3(SYS_read, ends[0], (long)line, 1000)) > 0) total += count;
            got = line[0];
            say("%ld bytes of %c, child %d\\n", total, got, reap());
        }""",
    )
    assert guest(argv)[1] == "409600 bytes of x, child 0\n"


def test_who_spins_is_taken_off_the_processor(tmp_path: Path) -> None:
    argv = compiled(
        tmp_path,
        """int main(void) {
            volatile int *flag = (int *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
            if (sys_fork() == 0) {
                while (!*flag);
                sys_exit(5);
            }
            raw3(SYS_sched_yield, 0, 0, 0);
            *flag = 1;
            say("child: %d\\n", reap());
        }""",
    )
    result, output = guest(argv)
    assert output == "child: 5\n"
    assert result.stats.ticks >= 1


@pytest.mark.parametrize("name", ["README.md", "Makefile"])
def test_what_is_no_program_does_not_boot(name: str) -> None:
    with Kernel(ram="96M") as kernel, pytest.raises(CannotBoot, match="no static x86-64 program"):
        run_uml(kernel, ROOT / name)


def test_the_guest_reads_standard_input(compile_c: Compile) -> None:
    program = compile_c(
        "#include <unistd.h>\n"
        "int main(void)\n"
        "{\n"
        "\tchar text[64];\n"
        "\tlong n;\n"
        "\twhile ((n = read(0, text, 3)) > 0)\n"
        "\t\twrite(1, text, n);\n"
        "\treturn n == 0 ? 5 : 6;\n"
        "}\n"
    )
    command = [sys.executable, "-m", "pkern", "uml", str(program)]
    done = subprocess.run(command, input=b"what stands here", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (5, b"what stands here", b"")


BESIDE_A_READER = """\
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char text[64];
	if (!fork()) {
		struct timespec pause = {1, 0};
		nanosleep(&pause, 0);
		write(1, "beside\\n", 7);
		while (argc > 1)
			;
		_exit(0);
	}
	long n = read(0, text, sizeof(text));
	write(1, text, n);
	if (argc == 1)
		wait(0);
	return 0;
}
"""


@pytest.mark.parametrize("argument", [[], ["compute"]], ids=["sleeps", "computes"])
def test_other_processes_run_while_one_waits_for_input(
    compile_c: Compile, argument: list[str]
) -> None:
    program = compile_c(BESIDE_A_READER)
    command = [sys.executable, "-m", "pkern", "uml", str(program), *argument]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as guest:  # type: ignore[call-overload]
        assert guest.stdout.readline() == b"beside\n"  # before there is any input
        assert guest.communicate(b"input\n", timeout=SECONDS) == (b"input\n", None)
    assert guest.returncode == 0


@pytest.mark.parametrize(
    ("ram", "why"), [("0", "a guest has some RAM"), ("1", "not fit"), ("256K", "not fit")]
)
def test_a_program_that_the_guest_has_no_room_for(
    ram: str, why: str, compile_c: Compile, capsys: pytest.CaptureFixture[str]
) -> None:
    program = compile_c("volatile char room[1 << 20] = {1};\nint main(void) { return room[1]; }\n")
    assert main(["uml", "--guest-ram", ram, str(program)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert why in err
