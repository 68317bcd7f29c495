"""The texts of /proc about the machine, in Linux's layout, from the core's counters."""

from __future__ import annotations

import os

from pkern.kernel.clock import BOOT_EPOCH_S, CLOCK_BOOTTIME, SECOND
from pkern.kernel.core import lib
from pkern.kernel.namespaces.base import IPC
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.vfs.fs.devices import DEVICES
from pkern.kernel.vfs.proc.maps import KB_PER_PAGE, field
from pkern.kernel.vfs.proc.task import TICK_NS
from pkern.kernel.vfs.proc.text import device_text

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task

SECTORS_PER_PAGE = 8
FILE_SYSTEMS = ("sysfs", "tmpfs", "proc", "devtmpfs", "pipefs", "ramfs", "hugetlbfs", "hostfs")
CHAR_DRIVERS = (
    "  1 mem", "  5 /dev/tty", "  5 /dev/console", "  5 /dev/ptmx", " 10 misc", "128 ptm",
    "136 pts",
)  # fmt: skip
# Name, file below /dev, major number, minor numbers, kind.
TTY_DRIVERS = (
    ("/dev/tty", "tty", 5, "0", "system:/dev/tty"),
    ("/dev/console", "console", 5, "1", "system:console"),
    ("/dev/ptmx", "ptmx", 5, "2", "system"),
    ("pty_slave", "pts", 136, "0-1048575", "pty:slave"),
    ("pty_master", "ptm", 128, "0-1048575", "pty:master"),
)
SOFTIRQS = (
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
)  # fmt: skip

# ---- memory ----


def meminfo(kernel: Machine) -> str:
    """Memory of the machine. Source: proc_meminfo(5)."""
    c = kernel.memory.counters
    total = int(c.nr_total)
    cached = int(c.nr_file)
    pinned, mlocked = kept_pages(kernel)
    active = int(c.nr_active_anon + c.nr_active_file)
    inactive = int(c.nr_inactive_anon + c.nr_inactive_file)
    reclaimable = max(0, cached - int(c.nr_shmem) - pinned)
    rows = [
        ("MemTotal", total), ("MemFree", c.nr_free),
        ("MemAvailable", c.nr_free + reclaimable), ("Buffers", 0),
        ("Cached", cached), ("SwapCached", c.nr_swapcached), ("Active", active),
        ("Inactive", inactive),
        ("Active(anon)", c.nr_active_anon), ("Inactive(anon)", c.nr_inactive_anon),
        ("Active(file)", c.nr_active_file),
        ("Inactive(file)", c.nr_inactive_file), ("Unevictable", pinned),
        ("Mlocked", mlocked), ("SwapTotal", c.nr_swap_total),
        ("SwapFree", c.nr_swap_total - c.nr_swap_used), ("Zswap", 0), ("Zswapped", 0),
        ("Dirty", c.nr_dirty),
        ("Writeback", 0), ("AnonPages", c.nr_anon), ("Mapped", c.nr_mapped), ("Shmem", c.nr_shmem),
        ("KReclaimable", 0), ("Slab", c.nr_slab), ("SReclaimable", 0), ("SUnreclaim", c.nr_slab),
        ("KernelStack", 0), ("PageTables", c.nr_pagetable), ("SecPageTables", 0),
        ("NFS_Unstable", 0), ("Bounce", 0),
        ("WritebackTmp", 0), ("CommitLimit", _commit_limit(kernel)),
        ("Committed_AS", c.nr_committed), ("VmallocTotal", 0), ("VmallocUsed", 0),
        ("VmallocChunk", 0), ("Percpu", 0), ("AnonHugePages", 0), ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0), ("FileHugePages", 0), ("FilePmdMapped", 0), ("Balloon", 0),
    ]  # fmt: skip
    return _sizes(rows) + _huge_pool(kernel) + _sizes([("DirectMap4k", total)])


def _commit_limit(kernel: Machine) -> int:
    """Return how many pages may be promised in all where vm.overcommit_memory is 2."""
    tunables, c = kernel.memory.tunables, kernel.memory.counters
    by_ratio = int(c.nr_total) * int(tunables.overcommit_ratio) // 100 * KB_PER_PAGE
    allowed = int(tunables.overcommit_kbytes) or by_ratio
    return allowed // KB_PER_PAGE + int(c.nr_swap_total)


def _huge_pool(kernel: Machine) -> str:
    """Return what is said of large pages: their numbers, then their sizes."""
    c = kernel.memory.counters
    all_huge = c.nr_huge + c.nr_huge_surplus
    pool = {
        "Total": all_huge, "Free": c.nr_huge_free,
        "Rsvd": c.nr_huge_reserved, "Surp": c.nr_huge_surplus,
    }  # fmt: skip
    numbers = "".join(f"{f'HugePages_{name}:':<16}{int(nr):>8}\n" for name, nr in pool.items())
    return numbers + _sizes([("Hugepagesize", 512), ("Hugetlb", all_huge * 512)])


def _locked_segments(kernel: Machine) -> int:
    """Return the pages of segments that are locked, in all ipc namespaces."""
    spaces: Any = kernel.namespaces.of_kind(IPC)
    return sum(one.segments.nr_locked_pages() for one in spaces if one.has("segments"))


def kept_pages(kernel: Machine) -> tuple[int, int]:
    """Return how many pages cannot be reclaimed, and how many of these mlock keeps."""
    c = kernel.memory.counters
    locked = int(c.nr_unevictable)
    return int(c.nr_special) + locked, locked - _locked_segments(kernel)


def _sizes(rows: list[tuple[str, Any]]) -> str:
    return "".join(field(name, int(pages) * KB_PER_PAGE) for name, pages in rows)


def swaps(kernel: Machine) -> str:
    """The swap areas. Source: proc_swaps(5)."""
    lines = ["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"]
    for area in kernel.swap.areas:
        size, used = (area.nr_pages - 1) * KB_PER_PAGE, kernel.swap.used(area) * KB_PER_PAGE
        name = area.path.ljust(39) + " "
        wide = "\t" if size < 10_000_000 else ""
        lines.append(f"{name}{area.kind}\t{size}\t{wide}{used}\t{wide}{area.priority}\n")
    return "".join(lines)


# ---- time and load ----


def busy_ns(kernel: Machine) -> int:
    """Return the virtual time that tasks in machine code have run."""
    return kernel.tasks.dead_cpu_ns + sum(task.time_ns for task in kernel.tasks.values())


def _states(kernel: Machine) -> tuple[int, int]:
    """Return how many tasks can run, and how many there are."""
    states = [task.state for task in kernel.tasks.values()]
    return states.count("R"), len(states)


def uptime(reader: Task) -> str:
    """Seconds since boot and seconds idle, of the reader's time. Source: proc_uptime(5)."""
    kernel = reader.kernel
    now = kernel.clock.now_ns
    idle = now - busy_ns(kernel)
    now += reader.nsproxy.time.ahead(CLOCK_BOOTTIME)
    times = (f"{ns // SECOND}.{ns % SECOND // 10_000_000:02d}" for ns in (now, idle))
    return " ".join(times) + "\n"


def loadavg(reader: Task) -> str:
    """Three averages, which nobody keeps here: 0; runnable/all tasks, the reader's last pid.

    Source: proc_loadavg(5).
    """
    running, total = _states(reader.kernel)
    last = reader.pid_ns.last if reader.pid_ns.level else reader.kernel.tasks.last_pid
    return f"0.00 0.00 0.00 {running}/{total} {last}\n"


def stat(reader: Task) -> str:
    """Ticks of the processor, and counts since boot. Source: proc_stat(5)."""
    kernel = reader.kernel
    busy, nice = busy_ns(kernel) // TICK_NS, kernel.tasks.nice_ns // TICK_NS
    idle = kernel.clock.now_ns // TICK_NS - busy
    ticks = f"{busy - nice} {nice} 0 {idle} 0 0 0 0 0 0"
    running, _ = _states(kernel)
    scheduler = kernel.scheduler
    booted = BOOT_EPOCH_S - reader.nsproxy.time.ahead(CLOCK_BOOTTIME) // SECOND
    return (
        f"cpu  {ticks}\ncpu0 {ticks}\nintr 0\n"
        f"ctxt {scheduler.turns.switches if scheduler is not None else 0}\nbtime {booted}\n"
        f"processes {kernel.tasks.forks}\nprocs_running {running}\nprocs_blocked 0\n"
        "softirq 0" + " 0" * len(SOFTIRQS) + "\n"
    )


def interrupts(kernel: Machine) -> str:
    """The processors; nothing interrupts them. Source: proc_interrupts(5)."""
    return " " * 11 + "CPU0       \nERR:          0\nMIS:          0\n"


def softirqs(kernel: Machine) -> str:
    """Deferred work, of which there is none. Source: proc_softirqs(5)."""
    return " " * 20 + "CPU0       \n" + "".join(f"{name:>12}: {0:>10}\n" for name in SOFTIRQS)


# ---- what the machine is ----


def version(kernel: Machine) -> str:
    """System, release and build. Source: proc_version(5)."""
    sysctl = kernel.sysctl
    release, build = sysctl["kernel.osrelease"], sysctl["kernel.version"]
    return f"{sysctl['kernel.ostype']} version {release} (pkern) {build}\n"


def cmdline(kernel: Machine) -> str:
    """The parameters that the machine was booted with. Source: proc_cmdline(5)."""
    mem, rmap = f"{kernel.ram >> 10}K", kernel.memory.rmap
    nodes = f" nodes={kernel.memory.nr_nodes}" if kernel.memory.nr_nodes > 1 else ""
    return f"mem={mem} rmap={rmap} nrpte={kernel.memory.nrpte}{nodes} seed={kernel.seed}\n"


def filesystems(kernel: Machine) -> str:
    """The types of file systems; none needs a device. Source: proc_filesystems(5)."""
    return "".join(f"nodev\t{name}\n" for name in FILE_SYSTEMS)


def _disks(kernel: Machine) -> list[tuple[str, Any]]:
    names = kernel.vfs.devices.root.entries
    return [(name, inode) for name, inode in names.items() if inode.kind == "blk"]


def partitions(kernel: Machine) -> str:
    """The block devices and their sizes in KiB. Source: proc_partitions(5)."""
    rows = "".join(
        f"{os.major(inode.rdev):4d}  {os.minor(inode.rdev):7d} {inode.size >> 10:10d} {name}\n"
        for name, inode in _disks(kernel)
    )
    return "major minor  #blocks  name\n\n" + rows


def diskstats(kernel: Machine) -> str:
    """What the block devices have read and written. Source: proc_diskstats(5).

    All of it is swap, counted for the machine: where there are several devices, for none of them.
    """
    disks, counters = _disks(kernel), kernel.memory.counters
    pages = (int(counters.pswpin), int(counters.pswpout)) if len(disks) == 1 else (0, 0)
    done = " ".join(f"{nr} 0 {nr * SECTORS_PER_PAGE} 0" for nr in pages) + " 0" * 9
    return "".join(
        f"{os.major(inode.rdev):4d} {os.minor(inode.rdev):7d} {name} {done}\n"
        for name, inode in disks
    )


def cgroups(kernel: Machine) -> str:
    """The controllers of control groups, of which there are none. Source: cgroups(7)."""
    return "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"


def devices(kernel: Machine) -> str:
    """Major numbers and their drivers. Source: proc_devices(5)."""
    disks = sorted({f"{os.major(inode.rdev):3d} swap\n" for _, inode in _disks(kernel)})
    chars = "".join(f"{line}\n" for line in CHAR_DRIVERS)
    return f"Character devices:\n{chars}\nBlock devices:\n{''.join(disks)}"


def misc(kernel: Machine) -> str:
    """Minor numbers of the devices that share major number 10. Source: devices.rst of Linux."""
    minors = {os.minor(rdev): name for name, (rdev, _) in DEVICES.items() if os.major(rdev) == 10}
    return "".join(f"{minor:3d} {minors[minor]}\n" for minor in sorted(minors))


def terminal_drivers(kernel: Machine) -> str:
    """Names, numbers and kinds of the drivers of terminals. Source: show_tty_driver()."""
    return "".join(
        f"{name:<20} /dev/{node:<8} {major:3d} {minors:>7} {kind}\n"
        for name, node, major, minors, kind in TTY_DRIVERS
    )


def sysvipc_shm(reader: Task) -> str:
    """The segments of System V shared memory. Source: sysvipc(7), proc_sysvipc(5)."""
    head = (
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  "
        "cgid      atime      dtime      ctime                   rss                  swap\n"
    )
    segments = reader.nsproxy.ipc.segments
    return head + "".join(_segment_row(reader, shmid, s) for shmid, s in segments.items())


def _owners(own: UserNamespace, owner: tuple[int, int], maker: tuple[int, int]) -> str:
    """Return user and group of the owner and the maker as a user namespace has them."""
    ids = [f"{own.uid_of(uid):5d} {own.gid_of(gid):5d}" for uid, gid in (owner, maker)]
    return " ".join(ids)


def _segment_row(reader: Task, shmid: int, segment: Any) -> str:
    own, pids = reader.cred.user_ns, [*map(reader.number_of, (segment.creator, segment.last_pid))]
    inode, pages = segment.inode, lib.mapping_nr_pages(segment.inode.mapping)
    swapped = lib.mapping_nr_swapped(inode.mapping)
    return (
        f"{segment.key:10d} {shmid:10d}  {inode.mode:4o} {segment.bytes:21d} "
        f"{pids[0]:5d} {pids[1]:5d}  {segment.attached:5d} "
        f"{_owners(own, (inode.uid, inode.gid), segment.owner)} "
        f"{segment.atime:10d} {segment.dtime:10d} {segment.ctime:10d} "
        f"{pages * 4096:21d} {swapped * 4096:21d}\n"
    )


def sysvipc_sem(reader: Task) -> str:
    """The sets of System V semaphores. Source: sysvipc(7), proc_sysvipc(5)."""
    head = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
    own = reader.cred.user_ns
    return head + "".join(
        f"{one.key:10d} {one.id:10d}  {one.mode:4o} {len(one.semaphores):10d} "
        f"{_owners(own, (one.uid, one.gid), (one.cuid, one.cgid))} "
        f"{one.otime:10d} {one.ctime:10d}\n"
        for one in reader.nsproxy.ipc.semaphores.table.items()
    )


def sysvipc_msg(reader: Task) -> str:
    """The message queues of System V. Source: sysvipc(7), proc_sysvipc(5)."""
    head = (
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
        "      stime      rtime      ctime\n"
    )
    own = reader.cred.user_ns
    return head + "".join(
        f"{one.key:10d} {one.id:10d}  {one.mode:4o}  {one.nbytes:10d} {len(one.messages):10d} "
        f"{reader.number_of(one.last_sender):5d} {reader.number_of(one.last_receiver):5d} "
        f"{_owners(own, (one.uid, one.gid), (one.cuid, one.cgid))} "
        f"{one.stime:10d} {one.rtime:10d} {one.ctime:10d}\n"
        for one in reader.nsproxy.ipc.messages.table.items()
    )


def locks(kernel: Machine, pid_ns: PidNamespace) -> str:
    """File locks: number, kind, way, access, pid, file, first and last byte.

    A namespace does not see those of processes outside, which are counted. Source: proc_locks(5).
    """
    found = kernel.vfs.locks.all() + kernel.vfs.leases.all()
    seen = enumerate((lock.seen_in(pid_ns) for lock in found), 1)
    return "".join(
        f"{lock.line(number, _device_of(kernel, lock.ino))}\n" for number, lock in seen if lock.pid
    )


def _device_of(kernel: Machine, ino: int) -> str:
    inode = kernel.vfs.inodes.get(ino)
    return device_text(inode.dev) if inode else "00:00"
