"""A recount of tasks: T1 to T10 of docs/invariants.md. It trusts no count and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pkern.kernel.tasks.kin import is_plain
from pkern.kernel.tasks.locks.line import PrivateWord

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.locks.futex_pi import Locks
    from pkern.kernel.tasks.locks.line import InLine
    from pkern.kernel.tasks.machine import Scheduler
    from pkern.kernel.tasks.table import TaskTable


def faults(tasks: TaskTable, scheduler: Scheduler | None, locks: Locks) -> list[str]:
    """Return what is wrong, a line each, which begins with the number of the invariant."""
    groups = {id(task.group): task.group for task in tasks.values()}
    found = [*_table(tasks)]
    for group in groups.values():
        found += [*_threads(group), *_family(group)]
    found += _shared(tasks)
    found += _users(tasks)
    found += _locks(locks)
    found += _traces(tasks)
    if scheduler is not None:
        found += _sleepers(scheduler)
        found += _turns(tasks, scheduler)
        found += _answers(tasks, scheduler)
    return found


def _table(tasks: TaskTable) -> Iterator[str]:
    for pid, task in tasks.items():
        if task.pid != pid or task.group.threads.get(pid) is not task:
            yield f"T1: pid {pid} is {task!r}, which its process knows otherwise"


def _threads(group: Group) -> Iterator[str]:
    threads, alive = group.threads.values(), group.living()
    for task in threads:
        if task.kernel.tasks.get(task.pid) is not task or task.group is not group:
            yield f"T1: process {group.pid} has {task!r}, in no table or of another process"
    if group.live != len(alive):
        yield f"T2: process {group.pid} counts {group.live} live threads, not {len(alive)}"
    if group.leader not in threads:
        yield f"T2: process {group.pid} lacks its leader"
    for task in threads:
        if not task.alive and task is not group.leader and task.trace is None:
            yield f"T2: process {group.pid} keeps {task!r}, for which nobody waits"
    if group.cpu_ns < sum(task.thread.cpu_ns for task in threads):
        yield f"T2: the threads of process {group.pid} have run longer than it has"


def _family(group: Group) -> Iterator[str]:
    parent = group.parent
    if parent is not None and parent.group.children.get(group.pid) is not group:
        yield f"T3: process {group.pid} is no child of its parent {parent.tgid}"
    if parent is not None and parent.group.alive and not parent.alive:
        yield f"T3: the parent of process {group.pid} is a dead thread"
    for child in group.children:
        if child.parent is None or child.parent.group is not group:
            yield f"T3: process {group.pid} has a child {child.pid} that another one made"


def _shared(tasks: TaskTable) -> Iterator[str]:
    alive = [task for task in tasks.values() if task.alive]
    kinds: dict[str, list[Any]] = {
        "descriptors": [task.fds for task in alive],
        "handlers": [task.signals.handlers for task in alive],
        "operations to undo": [task.undo for task in alive if task.undo is not None],
    }
    for kind, objects in kinds.items():
        for one, count in Counter(objects).items():
            if one.users != count:
                yield f"T4: {kind} count {one.users} users, not {count}"
    for mm, count in Counter(task.mm for task in alive).items():
        if mm.users < count:  # descriptors of /proc/mm are users, too
            yield f"T4: an address space counts {mm.users} users for {count} tasks"
        who: Any = mm.process
        if who.mm is mm and not who.alive:
            yield f"T4: an address space works for {who!r}, which has ended"


def _users(tasks: TaskTable) -> Iterator[str]:
    counted = Counter(task.cred.uid for task in tasks.values())
    for uid, count in tasks.of_user.items():
        if counted[uid] != count:
            yield f"T5: user {uid} counts {count} tasks, not {counted[uid]}"
    if tasks.queued != (payers := _payers(tasks)):
        yield f"T5: users have {tasks.queued} queued, not {dict(payers)}"


def _payers(tasks: TaskTable) -> Counter[int]:
    """Return for how many signals and timers each user pays."""
    groups = {task.group for task in tasks.values()}
    pendings = [task.signals.own for task in tasks.values()] + [one.pending for one in groups]
    infos = [info for pending in pendings for info in pending.infos]
    timers = {info.timer for info in infos if info.timer is not None}
    timers.update(timer for one in groups for timer in (one.posix_timers or {}).values())
    paid = [info.payer for info in infos] + [timer.payer for timer in timers]
    return Counter(payer for payer in paid if payer is not None)


def _traces(tasks: TaskTable) -> Iterator[str]:
    for task in tasks.values():
        trace = task.trace
        if trace is not None and trace.tracer.group.tracees.get(task) is not trace:
            yield f"T8: {task!r} is traced by {trace.tracer!r}, which does not know it"
        if trace is not None and task.alive and trace.held and not task.thread.stopped:
            yield f"T8: {task!r} is held by its tracer, and may run"
        for tracee, known in task.group.tracees.items():
            if tracee.trace is not known or tasks.get(tracee.pid) is not tracee:
                yield f"T8: {task!r} traces {tracee!r}, which does not know it"


def _sleepers(scheduler: Scheduler) -> Iterator[str]:
    for key, sleepers in scheduler.sleepers.by_key.items():
        for task in sleepers:
            if not _waits_for(task, key):
                yield f"T6: {task!r} sleeps for {key!r}, which it does not wait for"


def _turns(tasks: TaskTable, scheduler: Scheduler) -> Iterator[str]:
    for task in tasks.values():
        runner, thread = task.runner, task.thread
        if runner.asleep and (thread.parked or thread.call or not task.alive or runner.queued):
            yield f"T6: {task!r} sleeps in the core, and does something else"
        if runner.asleep and PrivateWord(task.mm, runner.asleep) in scheduler.sleepers.by_key:
            yield f"T6: the core has {task!r} asleep on a word whose sleepers are Python's"
        kin = task.alive and runner.kin and runner.kin == task.limits.kin
        if kin and task is not scheduler.running and not is_plain(task):
            yield f"T10: {task!r} may have turns that the core begins"


def _waits_for(task: InLine, key: object) -> bool:
    wait = task.thread.parked
    return task.alive and wait is not None and key in wait.keys


def _locks(locks: Locks) -> Iterator[str]:
    for lock in locks:
        if not lock.owner.alive:
            yield f"T7: the owner of a lock, {lock.owner!r}, has ended"
        asleep = [
            one for one in lock.waiters if one.lock is lock and one.task.thread.progress is one
        ]
        if not asleep or asleep != lock.waiters:
            yield f"T7: a lock of {lock.owner!r} has waiters that do not wait, or none"


def _answers(tasks: TaskTable, scheduler: Scheduler) -> Iterator[str]:
    """What the core remembers is what the calls themselves, which only look, would answer now."""
    for task in tasks.values():
        if task.context is None or not task.alive:
            continue
        for nr, call in scheduler.calls.table.items():
            known = task.context.remembered(nr)
            if known is not None and known != call(task, 0, 0, 0, 0, 0, 0):
                yield f"T9: the core answers {known} to call {nr} of {task!r}"
