"""What the Python face says of arguments that cannot be, and of a machine that is closed."""

import copy
import pickle
import subprocess
import sys as host
from pathlib import Path

import pytest

import pkern
from pkern.kernel.arguments import nearest
from pkern.kernel.errors import MachineClosed

BUSYBOX = Path("/bin/busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs a static busybox")


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"ram": None}, TypeError, "a size must be a str or int, not NoneType"),
        ({"ram": 1.5}, TypeError, "a size must be"),
        ({"ram": 1 << 80}, ValueError, "a machine has less than 16T of RAM"),
        ({"swap": None}, TypeError, "a size must be"),
        ({"seed": "x"}, TypeError, "Kernel() argument 'seed' must be an int, not str"),
        ({"nrpte": "x"}, TypeError, "'nrpte' must be an int"),
        ({"poison": "x"}, TypeError, "'poison' must be an int"),
        ({"cpu": 3}, TypeError, "'cpu' must be a str"),
        ({"hostname": 3}, TypeError, "'hostname' must be a str"),
        ({"sysctl": 3}, TypeError, "'sysctl' must be a Mapping"),
        ({"swapp": 1}, TypeError, "Kernel() takes no 'swapp'; did you mean swap?"),
        ({"rmap": "ptechain"}, ValueError, "compare; did you mean pte_chain?"),
    ],
)
def test_a_machine_that_cannot_be(given, kind, words):
    with pytest.raises(kind) as caught:
        pkern.Kernel(**given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "given", "kind", "words"),
    [
        ((3,), {}, TypeError, "must be a str, not int"),
        (("a\0b",), {}, ValueError, "holds no NUL"),
        ((), {"stdin": 3}, TypeError, "'stdin' must be a bytes or str"),
        ((), {"env": ["A=1"]}, TypeError, "'env' must be a Mapping or None"),
        ((), {"env": {"A": 1}}, TypeError, "must be a str, not int"),
        ((), {"env": {"A=": "1"}}, ValueError, "'A=' cannot be the name of a variable"),
        ((), {"cwd": 3}, TypeError, "'cwd' must be a str or None"),
        ((), {"uid": -1}, ValueError, "'uid' is a number from 0 to 4294967294, not -1"),
        ((), {"uid": "0"}, TypeError, "'uid' must be an int"),
        ((), {"limits": {"AS": "1G"}}, TypeError, "the limit AS must be an int, not str"),
        ((), {"limits": {"AS": (1,)}}, ValueError, "the limit AS is a number, or soft and hard"),
        ((), {"fail_nth": -1}, ValueError, "'fail_nth' is a number from 0"),
        ((), {"strace": 3}, TypeError, "'strace' must be callable"),
        ((), {"kernel": 3}, TypeError, "'kernel' must be a Kernel or None"),
        ((), {"timout": 1}, TypeError, "run() takes no 'timout'; did you mean timeout?"),
        ((), {"swapp": 1}, TypeError, "run() takes no 'swapp'; did you mean swap?"),
        ((), {"caps": "CAP_BPF"}, TypeError, "a set of names, not the str 'CAP_BPF'"),
        ((), {"caps": ["CAP_FOO"]}, ValueError, "there is no capability 'CAP_FOO'"),
        ((), {"caps": 1}, TypeError, "a set of names, not the int 1"),
        ((), {"caps": [[]]}, TypeError, "the name of a capability must be a str, not list"),
        ((), {"binds": None}, TypeError, "run() argument 'binds' must be a list or tuple"),
        ((), {"binds": "/x"}, TypeError, "run() argument 'binds' must be a list or tuple"),
        ((), {"binds": [b"/x"]}, TypeError, "the name of a limit, or a bind, must be a str"),
        ((), {"limits": {1: 2}}, TypeError, "the name of a limit, or a bind, must be a str"),
        ((), {"root": 1}, TypeError, "run() argument 'root' must be a str or PathLike or None"),
        ((), {"overlay": 1}, TypeError, "run() argument 'overlay' must be a str or PathLike"),
        ((), {"poison": -1}, ValueError, "poison is 0 or 1, not -1"),
    ],
)
@needs_busybox
def test_what_a_program_cannot_be_given(argv, given, kind, words):
    with pytest.raises(kind) as caught:
        pkern.run(BUSYBOX, *argv, **given)
    assert words in str(caught.value)


@needs_busybox
def test_what_a_completed_program_lacks_is_guessed():
    ran = pkern.run(BUSYBOX, "echo", "one")
    assert copy.copy(ran) == pickle.loads(pickle.dumps(ran)) == ran
    for name, meant in (("stdout", "out"), ("returncode", "status"), ("sginal", "signal")):
        with pytest.raises(AttributeError, match=rf"'{name}'; did you mean {meant}\?"):
            getattr(ran, name)


@needs_busybox
def test_a_program_may_be_named_in_bytes_and_given_any_set_of_capabilities():
    ran = pkern.run(str(BUSYBOX).encode(), "true", caps=["CAP_CHOWN"])
    assert ran.status == 0


@needs_busybox
@pytest.mark.parametrize(
    ("signo", "name"), [(15, "SIGTERM"), (32, "SIGRTMIN"), (34, "SIGRT_2"), (64, "SIGRT_32")]
)
def test_the_signal_that_ended_a_program(signo, name):
    ran = pkern.run(BUSYBOX, "sh", "-c", f"kill -{signo} $$")
    assert (ran.status, ran.signal, ran.signal.name) == (128 + signo, signo, name)


def test_numbers_that_are_no_signals():
    for number in (0, 65, -1):
        with pytest.raises(ValueError, match="is not a valid Signal"):
            pkern.Signal(number)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda kernel: kernel.spawn(3), "spawn() argument 'name' must be a str, not int"),
        (lambda kernel: kernel.spawn(argv="x"), "'argv' must be a list or tuple or None, not str"),
        (lambda kernel: kernel.spawn(argv=[1]), "an argument of the program must be a str"),
        (lambda kernel: kernel.spawn(layout=1), "spawn() argument 'layout' must be a Layout"),
        (
            lambda kernel: pkern.Sys(kernel.spawn()).rt_sigaction(11, 5),
            "'action' must be SIG_DFL, SIG_IGN or a function of two arguments, not 5",
        ),
        (lambda kernel: kernel.spawn("x", uid=-1), "spawn() argument 'uid' is a number from 0"),
        (lambda kernel: kernel.spawn("x", gid=1 << 32), "spawn() argument 'gid' is a number"),
        (lambda kernel: kernel.fail_nth(-1), "fail_nth() argument 'nth' is a number from 0"),
        (lambda kernel: kernel.fail_nth("x"), "fail_nth() argument 'nth' must be an int"),
        (
            lambda kernel: kernel.fail_io("nope", 1),
            "fail_io() knows disk_write, file_read",
        ),
        (lambda kernel: kernel.fail_io("swap_rd", 1), "not 'swap_rd'; did you mean swap_read?"),
        (lambda kernel: kernel.fail_io(3, 1), "fail_io() argument 'kind' must be a str, not int"),
        (lambda kernel: kernel.spawn("x", uidd=0), "spawn() takes no 'uidd'; did you mean uid?"),
        (lambda kernel: kernel.spawn("x", caps={"CAP_BFP"}), "'CAP_BFP'; did you mean CAP_BPF?"),
        (lambda kernel: kernel.fail_io("swap_read", -1), "fail_io() argument 'nth' is a number"),
        (lambda kernel: pkern.Sys(3), "Sys() argument 'task' must be a Task, not int"),
        (lambda kernel: pkern.Sys(kernel.spawn()).strace(3), "'emit' must be callable, not 3"),
        (lambda kernel: pkern.Sys(kernel.spawn()).on_userfault(0, 3), "'monitor' must be callable"),
        # Found in the copy alone, it would have the caller's program go on twice.
        (lambda kernel: kernel.branch(3), "branch() argument 'function' must be callable, not 3"),
        (lambda kernel: kernel.events(3), "events(): a glob must be a str, not int"),
        (lambda kernel: kernel.sysctl[3], "a sysctl's name must be a str, not int"),
    ],
)
def test_what_a_machine_cannot_be_asked(kernel, ask, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        ask(kernel)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "note"),
    [
        ("vm.nonliner", 1, "there is no such sysctl; did you mean vm.nonlinear?"),
        ("swapiness", 1, "there is no such sysctl; did you mean vm.swappiness?"),
        ("vm.none.like.it", 1, "there is no such sysctl; list(kernel.sysctl) names all"),
        ("vm.swappiness", 201, "it takes 0..200"),
        ("vm.swappiness", "much", "it takes 0..200"),
        ("fs.aio-nr", 1, "nobody writes it: it says what is"),
    ],
)
def test_a_sysctl_that_cannot_be(kernel, name, value, note):
    with pytest.raises(OSError) as caught:
        kernel.sysctl[name] = value
    assert caught.value.__notes__ == [note]
    if isinstance(caught.value, FileNotFoundError):
        with pytest.raises(FileNotFoundError) as caught:
            _ = kernel.sysctl[name]
        assert caught.value.__notes__ == [note]


def test_what_a_machine_lacks_cannot_be_set(kernel):
    with pytest.raises(AttributeError, match=r"Kernel has no attribute 'swapp'; did you mean swap"):
        kernel.swapp = 3
    with pytest.raises(AttributeError, match="no attribute 'nam'"):
        kernel.spawn().nam = "x"
    with pytest.raises(AttributeError, match="no setter"):
        kernel.ram = 3
    kernel.scheduler_of = None


def test_a_class_of_machines_of_ones_own_has_what_it_likes():
    with type("Machine", (pkern.Kernel,), {})(ram="4M") as machine:
        machine.notes = [1]
        assert machine.notes == [1]


def test_parts_of_a_machine_show_themselves(kernel):
    assert repr(kernel.log) == "<Log of 1 line>"
    assert repr(kernel.sysctl) == f"<SysctlTable of {len(list(kernel.sysctl))} names>"


def test_a_sysctl_may_be_true(kernel):
    kernel.sysctl["vm.nonlinear"] = True
    assert kernel.sysctl["vm.nonlinear"] == 1


def test_a_name_that_is_nearly_one_of_pkerns():
    code = (
        "from pkern import finder, kernel\n"
        "import pkern, sys\n"
        "print('difflib' in sys.modules, flush=True)\n"
        "pkern.Kernal\n"
    )
    done = subprocess.run([host.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", "who imports a room pays for a guess"
    assert done.stderr.endswith("no attribute 'Kernal'. Did you mean: 'Kernel'?\n")


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("CAP_FOO", ["CAP_BPF", "CAP_FOWNER"], []),
        ("cap_bfp", ["CAP_FOO", "CAP_BPF"], ["CAP_BPF"]),
        ("SYS_ADMIN", ["CAP_SYS_ADMIN", "CAP_MAC_ADMIN"], ["CAP_SYS_ADMIN"]),
        ("vm.xyz", ["vm.rmap", "vm.zz"], []),
        ("vm.swap", ["vm.rmap", "vm.swappiness"], ["vm.swappiness"]),
        ("--cap", ["--cwd", "--help"], []),
        ("--rma=x", ["--ram", "--rmap"], ["--rmap", "--ram"]),
        ("", ["", "a"], [""]),
    ],
)
def test_only_what_is_near_is_guessed(word, known, meant):
    assert nearest(word, known) == meant


ASKED = {
    "getpid": (), "eventfd": (1,), "open": ("/tmp/x", 0), "stat": ("/tmp",), "getcwd": (),
    "mkdir": ("/d", 0o700), "listdir": ("/",), "pipe": (), "load": (0, 1), "syscall": (39,),
    "fork": (), "execve": ("/x", ["x"], []), "setuid": (0,), "nanosleep": (1,),
}  # fmt: skip


@pytest.mark.parametrize("reaped", [False, True])
def test_who_has_ended_makes_no_calls(kernel, reaped):
    parent = pkern.Sys(kernel.spawn(uid=0))
    child = parent.fork()
    child.exit(3)
    if reaped:
        parent.wait4(-1, 0)
    for name, arguments in ASKED.items():
        with pytest.raises(pkern.TaskKilled, match="task 2 has ended"):
            getattr(child, name)(*arguments)
    child.exit(4)
    assert child.pid == 2
    assert child.task.exit_status == 3 << 8


def test_more_bytes_are_asked_for_than_memory_can_have(kernel):
    sys = pkern.Sys(kernel.spawn())
    fd = sys.open("/tmp/x", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.write(fd, b"hello")
    for ask in (lambda: sys.read(fd, -5), lambda: sys.pread64(fd, -5, 0)):
        with pytest.raises(OSError, match="Bad address"):
            ask()
    assert sys.pread64(fd, 1 << 40, 0) == b"hello"


def test_a_closed_machine_says_so():
    kernel = pkern.Kernel(ram="4M")
    sys, shown, sysctl = pkern.Sys(kernel.spawn()), repr(kernel), kernel.sysctl
    assert sys.getpid() == sysctl["vm.nonlinear"] + 1
    assert shown == "<Kernel 4096K, objrmap_tree, 1 task>"
    kernel.close()
    kernel.close()
    for ask in (
        kernel.check,
        kernel.spawn,
        lambda: kernel.fail_nth(1),
        lambda: kernel.fail_pending,
        lambda: kernel.counters,
        lambda: sys.load(0, 1),
        lambda: sys.getpid(),
        lambda: list(sysctl),
        lambda: kernel.sysctl["vm.nonlinear"],
        lambda: kernel.sysctl["vm.swappiness"],
        lambda: kernel.sysctl.write("vm.swappiness", "1", None),
    ):
        with pytest.raises(MachineClosed, match="the machine is closed"):
            ask()
    assert repr(sysctl) == "<SysctlTable, closed>"
    assert repr(kernel) == "<Kernel, closed>"
    assert kernel.log.lines()
    with pkern.Kernel(ram="4M") as never_asked:
        pass
    with pytest.raises(MachineClosed):
        _ = never_asked.sysctl


@needs_busybox
def test_a_closed_machine_runs_no_program():
    with pkern.Kernel(ram="16M") as kernel:
        assert pkern.run(BUSYBOX, "true", kernel=kernel).status == 0
    with pytest.raises(MachineClosed):
        pkern.run(BUSYBOX, "true", kernel=kernel)


@needs_busybox
@pytest.mark.parametrize(
    ("nth", "does", "raised"),
    [
        (1, lambda kernel: 1 // 0, ZeroDivisionError),
        (9, lambda kernel: 1 // 0, ZeroDivisionError),
        (40, lambda kernel: 1 // 0, ZeroDivisionError),  # with children
        (9, lambda kernel: kernel.close(), RuntimeError),
    ],
)
def test_who_is_told_of_calls_ends_the_run_by_an_exception(kernel, nth, does, raised):
    lines = []

    def emit(line):
        lines.append(line)
        if len(lines) == nth:
            does(kernel)

    with pytest.raises(raised):
        pkern.run(BUSYBOX, "sh", "-c", "sleep 1 & sleep 9", strace=emit, kernel=kernel)
    assert len(lines) == nth
    assert [task.name for task in kernel.tasks.values()] == ["init"]
    assert pkern.run(BUSYBOX, "echo", "again", kernel=kernel).out == b"again\n"


@needs_busybox
def test_a_machine_closed_before_its_program_begins_runs_none():
    with pkern.Kernel(ram="16M") as kernel, pytest.raises(MachineClosed):
        pkern.run(BUSYBOX, "true", strace=lambda line: kernel.close(), kernel=kernel)


@needs_busybox
def test_what_was_part_of_a_machine_refuses_afterwards():
    tasks = []
    with pkern.Kernel(ram="16M") as kernel:
        sys = pkern.Sys(kernel.spawn("prog", uid=0, gid=0))
        watch = sys.task.fds.get(sys.userfaultfd(0))
        pkern.run(
            BUSYBOX, "true", kernel=kernel, strace=lambda line: tasks.append(kernel.running())
        )
        with pytest.raises(AttributeError, match=r"task 1 .prog. is a Python program's"):
            _ = sys.task.cpu
        ended = next(task for task in tasks if task is not None)
        with pytest.raises(AttributeError, match="it has no registers any more"):
            ended.cpu.registers()
        scheduler = kernel.scheduler
    with pytest.raises(OSError, match="Bad file descriptor"):
        watch.ready()
    for ask in (
        scheduler.next_task,
        scheduler.processor.note_accesses,
        lambda: len(scheduler.queue),
    ):
        with pytest.raises(MachineClosed):
            ask()


def test_a_program_that_closes_its_machine(tmp_path):
    program = tmp_path / "prog.py"
    program.write_text("def main(sys): sys.kernel.close()")

    ran = subprocess.run(
        [host.executable, "-m", "pkern", "run", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr == "pkern: the program has closed its machine\n"
