"""pkern: a miniature kernel of virtual memory in one process, with Linux's memory system calls.

The public face, and nothing else: what a program, a test or an emulator imports. docs/python.md is
its reference. Each name is brought in at its first use, so that `import pkern` costs next to
nothing; type checkers and editors, which run nothing, read __init__.pyi. Behind it stand
pkern.kernel, pkern.syscalls and pkern.userland; their folders lie beside this one in the source
tree and are mapped into this package by the build (setup.py).

    from pkern import Kernel, Sys

    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        page = sys.mmap(0, 4096, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
"""

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
    "Deadlock": ("pkern.kernel.errors", "Deadlock"),
    "NotBranchable": ("pkern.kernel.branch", "NotBranchable"),
    "BranchEnded": ("pkern.kernel.branch", "BranchEnded"),
    # copies of a machine
    "Branch": ("pkern.kernel.branch", "Branch"),
    "Snapshot": ("pkern.kernel.branch", "Snapshot"),
    # what happens: signals, lines of the log, the end of a program
    "Signal": ("pkern.kernel.tasks.signal.signames", "Signal"),
    "SigInfo": ("pkern.kernel.tasks.signal.signals", "SigInfo"),
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


def __getattr__(name: str) -> object:
    """Bring in a public name. Errors: AttributeError."""
    if name not in _HOMES:
        import sys

        # Python guesses by the object, and only where nobody takes the error: its imports ask here
        # for every submodule first.
        this = sys.modules[__name__]
        raise AttributeError(f"module 'pkern' has no attribute {name!r}", name=name, obj=this)
    from pkern.kernel.late import load

    module, attribute = _HOMES[name]
    value = globals()[name] = getattr(load(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
