"""/proc/PID/sched: what the scheduler knows of a task.

There is one processor, on which nobody's load is measured: those rows are 0. Weights by nice value
are as a host of Linux 6.18 shows them. Source: proc_pid_sched(5), kernel/sched/debug.c of Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.tasks.attributes import (
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_IDLE,
    SCHED_NORMAL,
    SLICE_NS,
)

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.task import Task

MS_NS = 1_000_000
SCALE = 1024  # of weights
IDLE_WEIGHT = 3
WEIGHTS = (  # by nice value, from -20
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
AVERAGES = (
    *("load_sum", "runnable_sum", "util_sum", "load_avg", "runnable_avg", "util_avg"),
    *("last_update_time", "util_est"),
)


def sched(task: Task, reader: Task, pid_ns: PidNamespace) -> str:
    """Times in milliseconds, switches, weight, policy and priority of a task."""
    given, ran = task.attributes, task.time_ns
    weight = IDLE_WEIGHT if given.policy == SCHED_IDLE else WEIGHTS[given.nice + 20]
    rows = [
        *(("se.exec_start", _ms(task.kernel.clock.now_ns)), ("se.vruntime", _ms(ran))),
        *(("se.sum_exec_runtime", _ms(ran)), ("se.nr_migrations", 0), ("nr_switches", 0)),
        *(("nr_voluntary_switches", 0), ("nr_involuntary_switches", 0)),
        ("se.load.weight", weight * SCALE),
        *((f"se.avg.{name}", 0) for name in AVERAGES),
        *(("policy", given.policy), ("prio", 100 + given.priority)),
        *_of_policy(task),
        ("clock-delta", 0),
    ]
    number, count = pid_ns.number_of(task.pid), len(task.group.threads)
    head = f"{task.name} ({number}, #threads: {count})\n{'-' * 67}\n"
    return head + "".join(f"{name:<45}:{value:>21}\n" for name, value in rows)


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds // MS_NS}.{nanoseconds % MS_NS:06d}"


def _of_policy(task: Task) -> list[tuple[str, int]]:
    given = task.attributes
    if given.policy in (SCHED_NORMAL, SCHED_BATCH):
        return [("se.slice", given.slice_ns or SLICE_NS)]
    if given.policy == SCHED_DEADLINE:
        return [("dl.runtime", given.dl_runtime_ns), ("dl.deadline", task.kernel.clock.now_ns)]
    return []


def write_sched(task: Task, data: bytes, writer: Task) -> int:
    """Begin to count anew what is counted: nothing is. Return how many bytes."""
    return len(data)
