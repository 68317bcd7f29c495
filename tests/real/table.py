"""The programs that people have, and how each is run: owns nothing but these lines.

Each is a line for /bin/sh, run in an empty directory, natively and in a machine on the host's own
files (`pkern run --root / --overlay`). $FILES is the folder with the sources, $BUILT the one where
`prepare` (always native) has put what must be compiled. What a line prints must be the same on
every machine: no times, pids, ports or addresses.
"""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """One line of the page. packages: Debian's.

    wall: seconds that it may take: of the host's clock natively, of processor time in a machine.

    version: a command whose first line names it. options: pkern's, beyond the common ones.
    user: the uid here and there. least: what --json's `machine` must have counted, at least.
    """

    name: str
    packages: str
    version: str
    line: str
    what: str
    prepare: str = ""
    options: tuple[str, ...] = ()
    wall: int = 60
    user: int = 0
    least: tuple[tuple[str, int], ...] = ()

    @property
    def counts_tests(self) -> bool:
        """Whether it prints which of CPython's own tests fail."""
        return self.name.startswith(CPYTHON)


PYTHON = "python3 --version"
CPYTHON = "CPython's "
JAVA = "java -version 2>&1 | grep Environment | grep -o '[0-9][^ )]*'"
JDK = "openjdk-17-jdk-headless"
POSTGRES = "/usr/lib/postgresql/15/bin/postgres --version | cut -d ' ' -f 3"
BOCHS = "bochs --help 2>&1 | grep -o 'Emulator [0-9.]*'"
SCREENS = (
    ("pty", "term", "its screen a pseudo-terminal"),
    ("RFB", 'rfb, options="timeout=60"', "its screen sent to a client in the same machine"),
)
UML = ("user-mode-linux busybox-static e2fsprogs", "linux.uml --version")
MAKE_DISK = "sh $FILES/uml/disk.sh"
SAMPLE = "gcc -g -O0 -pthread -o $BUILT/sample $FILES/sample.c"

PROGRAMS = (
    Program(
        "busybox sh",
        "busybox-static",
        "busybox | head -n 1 | cut -d ' ' -f 2",
        "busybox sh $FILES/shell.sh",
        "pipes, a fifo, traps, background jobs, xargs, awk, tar and gzip",
    ),
    Program(
        "bash",
        "bash",
        "bash --version | grep -o 'version [^ ]*'",
        "bash $FILES/bash.sh",
        "the same, process substitution, coprocesses, arrays",
    ),
    Program(
        "python3, threads",
        "python3",
        PYTHON,
        "python3 $FILES/threads.py",
        "8 threads with locks, queues, barriers, timers, a switch interval of 0.5 ms",
    ),
    Program(
        "python3, pools",
        "python3",
        PYTHON,
        "python3 $FILES/pools.py",
        "pools of threads and of processes, multiprocessing by fork and spawn, shared memory",
    ),
    Program(
        "python3, asyncio",
        "python3",
        PYTHON,
        "python3 $FILES/loop.py",
        "a server and ten clients over TCP, one over a path, a child process, timeouts",
    ),
    Program(
        "python3, http.server",
        "python3",
        PYTHON,
        "python3 $FILES/web.py",
        "a server with threads, urllib's GET, POST of 200 kB, 404",
    ),
    *(
        Program(
            f"{CPYTHON}{module}",
            "libpython3.11-testsuite",
            f"python3 -c 'import test.{module}' && {PYTHON}",
            f"python3 $FILES/cpython.py {module} ThreadedVSOCKSocketStreamTest",
            what,
            wall=wall,
        )
        for module, what, wall in (
            ("test_mmap", "mmap, madvise, resize", 120),
            (
                "test_signal",
                "handlers, masks, timers, wake-up descriptors, a storm of signals",
                300,
            ),
            ("test_threading", "threads, locks, fork beside threads, ends of Python", 300),
            ("test_subprocess", "children, their pipes, groups, users, signals", 600),
            ("test_socket", "sockets of every kind but AF_VSOCK's of this machine", 600),
        )
    ),
    Program(
        "xz -T2",
        "xz-utils",
        "xz --version | head -n 1",
        "sh $FILES/xz.sh",
        "2 MB in blocks by two threads, and back",
    ),
    Program(
        "sqlite3",
        "sqlite3",
        "sqlite3 --version | cut -d ' ' -f 1",
        "sh $FILES/sqlite.sh",
        "5,000 rows, an index, WAL with its shared memory, mmap, vacuum",
    ),
    Program(
        "perl",
        "perl",
        "perl -e 'print $^V'",
        "perl $FILES/perl.pl",
        "fork, a pair of sockets, alarm, flock, sorted hashes",
    ),
    Program(
        "git",
        "git",
        "git --version",
        "sh $FILES/git.sh",
        "init, commits, gc, fsck, clone, diff",
    ),
    Program(
        "redis-server, redis-cli",
        "redis-server redis-tools",
        "redis-server --version | grep -o 'v=[^ ]*'",
        "sh $FILES/redis.sh",
        "a server on a path, clients, a script, BGSAVE under strict overcommit",
        options=("--sysctl", "vm.overcommit_memory=2", "--sysctl", "vm.overcommit_ratio=100"),
    ),
    Program(
        "PostgreSQL, large pages",
        "postgresql",
        POSTGRES,
        "sh $FILES/pgbench.sh",
        "initdb, a server with huge_pages=on (natively off), pgbench with 100 transactions, "
        "checkpoint, kill -9 of a backend, recovery",
        options=("--sysctl", "vm.nr_hugepages=40"),
        wall=240,
        user=1000,
    ),
    Program(
        "PostgreSQL, an empty pool",
        "postgresql",
        POSTGRES,
        "sh $FILES/nopool.sh",
        "huge_pages=on without large pages: the server says so and ends",
        wall=120,
        user=1000,
    ),
    Program(
        "node",
        "nodejs",
        "node --version",
        "node $FILES/hello.js",
        "a worker thread, WebAssembly, an HTTP server with a client",
        wall=120,
    ),
    Program(
        "Go, net",
        "golang-go",
        "go version | cut -d ' ' -f 3",
        "$BUILT/hello-go",
        "20 clients of a TCP server in goroutines, garbage, a timer",
        "go build -o $BUILT/hello-go $FILES/hello.go",
    ),
    Program(
        "Rust, threads",
        "rustc",
        "rustc --version",
        "$BUILT/threads-rs 2>/dev/null",
        "threads, channels, locks, TCP, a panic that is caught",
        "rustc -O -o $BUILT/threads-rs $FILES/threads.rs",
    ),
    Program(
        "Java -Xint",
        JDK,
        JAVA,
        "java -Xint -cp $BUILT Hello",
        "a pool of threads, garbage collection, a null pointer",
        "javac -d $BUILT $FILES/Hello.java",
        wall=120,
    ),
    Program(
        "Java",
        JDK,
        JAVA,
        "java -cp $BUILT Hello",
        "the same with its compilers",
        "javac -d $BUILT $FILES/Hello.java",
        wall=240,
    ),
    Program(
        "ruby",
        "ruby",
        "ruby --version | cut -d ' ' -f 2",
        "ruby $FILES/ruby.rb",
        "threads, TCP, fork, garbage, a child's output",
    ),
    Program(
        "sbcl",
        "sbcl",
        "sbcl --version",
        "sbcl --noinform --no-sysinit --no-userinit --disable-debugger --load $FILES/threads.lisp",
        "threads, garbage collection by page protection, an error, the end of the stack",
    ),
    Program(
        "qemu-user",
        "qemu-user",
        "qemu-x86_64 --version | head -n 1 | cut -d ' ' -f 3",
        "qemu-x86_64 /bin/busybox sh -c 'echo in qemu; ls /usr | sort; (exit 4); echo $?'",
        "busybox's shell with children",
    ),
    Program(
        "qemu-system-x86_64",
        "qemu-system-x86 seabios grub-common grub-pc-bin",
        "qemu-system-x86_64 --version | head -n 1 | cut -d ' ' -f 4",
        "sh $FILES/qemu/system.sh",
        "SeaBIOS and GRUB from a disk, typed to on the serial port, by a thread of TCG; power off",
        "sh $FILES/qemu/disk.sh",
        wall=600,
    ),
    Program(
        "sysbench",
        "sysbench",
        "sysbench --version | cut -d ' ' -f 2",
        "sh $FILES/sysbench.sh",
        "cpu, memory, threads, mutex, each by four threads",
        wall=240,
    ),
    Program(
        "valgrind",
        "valgrind libc6-dbg",
        "valgrind --version",
        "valgrind -q --leak-check=full $BUILT/sample",
        "a program with a thread and a child",
        SAMPLE,
        wall=180,
    ),
    Program(
        "strace -f",
        "strace",
        "strace --version | head -n 1 | grep -o '[0-9.]*$'",
        "sh $FILES/strace.sh",
        "the same program, its calls of processes",
        SAMPLE,
    ),
    Program(
        "gdb",
        "gdb",
        "gdb --version | head -n 1 | grep -o '[0-9.]*$'",
        "sh $FILES/gdb.sh",
        "the same program: a breakpoint, backtrace, finish, a watchpoint hit by a thread",
        SAMPLE,
        wall=180,
    ),
    Program(
        "bochs",
        "bochs bochsbios vgabios",
        BOCHS,
        "sh $FILES/bochs/sector.sh",
        "a BIOS and a boot sector that writes to port 0xE9",
        wall=120,
    ),
    *(
        Program(
            f"bochs, GRUB by {screen}",
            "bochs bochs-term bochsbios vgabios grub-common grub-pc-bin python3-pyte",
            BOCHS,
            f"sh $FILES/bochs/guest.sh grub '{library}'",
            f"a guest boots from its disk to its prompt and is typed to, {what}",
            "sh $FILES/bochs/disk.sh",
            wall=300,
        )
        for screen, library, what in SCREENS
    ),
    *(
        Program(
            f"bochs, Linux by {screen}",
            "bochs bochs-term bochsbios vgabios isolinux syslinux-common xorriso cpio "
            "busybox-static python3-pyte",
            BOCHS,
            f"sh $FILES/bochs/guest.sh linux '{library}'",
            f"Debian's kernel for clouds boots from a CD to a shell and is typed to, {what}",
            "sh $FILES/bochs/cd.sh",
            wall=2000,
        )
        for screen, library, what in SCREENS
    ),
    Program(
        "User Mode Linux, hostfs",
        *UML,
        "sh $FILES/uml/hostfs.sh",
        "a kernel boots from hostfs, runs a script with pipes and halts",
        MAKE_DISK,
        wall=180,
    ),
    Program(
        "User Mode Linux of Debian 13",
        "busybox-static",
        "busybox >/dev/null && cat $BUILT/trixie/version 2>/dev/null || echo the latest",
        "sh $FILES/uml/later.sh",
        "a later kernel, in a root of its own with the C library that it needs: the same; twice, "
        "and both runs are the same",
        "sh $FILES/uml/trixie.sh",
        options=("--twice",),
        wall=180,
    ),
    Program(
        "User Mode Linux, ext4",
        *UML,
        "sh $FILES/uml/ext4.sh script.sh",
        "the same from an ext4 file system on a block device; twice, and both runs are the same",
        MAKE_DISK,
        options=("--twice",),
        wall=900,
    ),
    Program(
        "User Mode Linux, typed to",
        *UML,
        "sh $FILES/uml/typed.sh",
        "a shell on its console, a pseudo-terminal: answers, pipes, a file on ext4, end of file, "
        "^C, power off",
        MAKE_DISK,
        wall=180,
    ),
    *(
        Program(
            f"User Mode Linux, vsyscalls {revirt}",
            *UML,
            "sh $FILES/uml/clock.sh",
            f"a guest whose clock is set apart; a program in it calls the page: {whose}",
            MAKE_DISK,
            options=("--sysctl", f"kernel.revirt_vsyscalls={revirt}"),
            wall=240,
        )
        for revirt, whose in ((0, "the host's time, as natively"), (1, "the guest's time"))
    ),
    *(
        Program(
            f"User Mode Linux in 24 MB, {rmap}",
            *UML,
            "sh $FILES/uml/ext4.sh memory.sh",
            "12 MB of files in the guest's memory, which is swapped under it",
            MAKE_DISK,
            options=("--ram", "24M", "--swap", "128M", "--rmap", rmap),
            wall=400,
            least=(("pswpout", 1000), ("pswpin", 500)),
        )
        for rmap in ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan")
    ),
)
