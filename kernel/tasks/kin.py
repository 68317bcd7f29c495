"""Which tasks differ in nothing but their registers, so that the core may begin their turns.

Who adds something that is to be looked at between two turns adds it here, and calls Group.part()
where it changes (T10).
"""

from __future__ import annotations

from pkern.kernel.tasks.times import cputime
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def is_plain(task: Task) -> bool:
    """Tell whether nothing that concerns a task is looked at between its turns."""
    group, thread = task.group, task.thread
    looks = task.seccomp is not None or task.dispatch is not None
    watched = task.trace is not None or looks or thread.stopped
    asks = task.attention or task.revirt_vsyscalls or task.attributes.nice > 0
    bounded = cputime.is_bounded(group)
    return not (watched or asks or bounded) and task.has_rights_of(group.leader)
