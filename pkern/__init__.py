"""pkern: a miniature kernel of virtual memory in one process, with Linux's memory system calls.

The public face, and nothing else: what a program, a test or an emulator imports. docs/python.md is
its reference. Each name is brought in at its first use, so that `import pkern` costs next to
nothing. Behind it stand pkern.kernel, pkern.syscalls and pkern.userland; their folders lie beside
this one in the source tree and are mapped into this package by the build (setup.py).

    from pkern import Kernel, Sys

    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        page = sys.mmap(0, 4096, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
"""

from importlib import import_module

TYPE_CHECKING = False  # typing's own, which would be the most costly thing imported here
if TYPE_CHECKING:
    from pkern.kernel.branch import Branch as Branch
    from pkern.kernel.branch import BranchEnded as BranchEnded
    from pkern.kernel.branch import NotBranchable as NotBranchable
    from pkern.kernel.branch import Snapshot as Snapshot
    from pkern.kernel.cpu.scheduler import Deadlock as Deadlock
    from pkern.kernel.errors import BusError as BusError
    from pkern.kernel.errors import KernelBug as KernelBug
    from pkern.kernel.errors import KernelPanic as KernelPanic
    from pkern.kernel.errors import MemoryFault as MemoryFault
    from pkern.kernel.errors import SegmentationFault as SegmentationFault
    from pkern.kernel.errors import SyscallError as SyscallError
    from pkern.kernel.errors import TaskKilled as TaskKilled
    from pkern.kernel.log import Record as LogRecord
    from pkern.kernel.machine import Kernel as Kernel
    from pkern.kernel.mm.mm import Vma as Vma
    from pkern.kernel.tasks.signals import SigInfo as SigInfo
    from pkern.kernel.tasks.signames import Signal as Signal
    from pkern.kernel.tasks.task import Task as Task
    from pkern.userland.program import Sys as Sys
    from pkern.userland.runner import Completed as Completed
    from pkern.userland.runner import run as run

__version__ = "0.1.0"

# Public name -> the module that holds it, and its name there.
_HOMES = {
    "Kernel": ("pkern.kernel.machine", "Kernel"),
    "Sys": ("pkern.userland.program", "Sys"),
    "run": ("pkern.userland.runner", "run"),
    # what goes wrong
    "SyscallError": ("pkern.kernel.errors", "SyscallError"),
    "MemoryFault": ("pkern.kernel.errors", "MemoryFault"),
    "SegmentationFault": ("pkern.kernel.errors", "SegmentationFault"),
    "BusError": ("pkern.kernel.errors", "BusError"),
    "TaskKilled": ("pkern.kernel.errors", "TaskKilled"),
    "KernelPanic": ("pkern.kernel.errors", "KernelPanic"),
    "KernelBug": ("pkern.kernel.errors", "KernelBug"),
    "Deadlock": ("pkern.kernel.cpu.scheduler", "Deadlock"),
    "NotBranchable": ("pkern.kernel.branch", "NotBranchable"),
    "BranchEnded": ("pkern.kernel.branch", "BranchEnded"),
    # copies of a machine
    "Branch": ("pkern.kernel.branch", "Branch"),
    "Snapshot": ("pkern.kernel.branch", "Snapshot"),
    # what happens: signals, lines of the log, the end of a program
    "Signal": ("pkern.kernel.tasks.signames", "Signal"),
    "SigInfo": ("pkern.kernel.tasks.signals", "SigInfo"),
    "LogRecord": ("pkern.kernel.log", "Record"),
    "Completed": ("pkern.userland.runner", "Completed"),
    # what a kernel hands out
    "Task": ("pkern.kernel.tasks.task", "Task"),
    "Vma": ("pkern.kernel.mm.mm", "Vma"),
}
__all__ = [
    "Branch",
    "BranchEnded",
    "BusError",
    "Completed",
    "Deadlock",
    "Kernel",
    "KernelBug",
    "KernelPanic",
    "LogRecord",
    "MemoryFault",
    "NotBranchable",
    "SegmentationFault",
    "SigInfo",
    "Signal",
    "Snapshot",
    "Sys",
    "SyscallError",
    "Task",
    "TaskKilled",
    "Vma",
    "__version__",
    "run",
]


if not TYPE_CHECKING:  # a checker is to refuse what is not listed above

    def __getattr__(name: str) -> object:
        """Bring in a public name. Errors: AttributeError."""
        if name not in _HOMES:
            raise AttributeError(f"module 'pkern' has no attribute {name!r}", name=name)
        module, attribute = _HOMES[name]
        value = globals()[name] = getattr(import_module(module), attribute)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
