"""The public face for type checkers and editors: the names of _HOMES in __init__.py, no others."""

from pkern.kernel.branch import Branch as Branch
from pkern.kernel.branch import BranchEnded as BranchEnded
from pkern.kernel.branch import NotBranchable as NotBranchable
from pkern.kernel.branch import Snapshot as Snapshot
from pkern.kernel.errors import BusError as BusError
from pkern.kernel.errors import Deadlock as Deadlock
from pkern.kernel.errors import KernelBug as KernelBug
from pkern.kernel.errors import KernelPanic as KernelPanic
from pkern.kernel.errors import MemoryFault as MemoryFault
from pkern.kernel.errors import SegmentationFault as SegmentationFault
from pkern.kernel.errors import SyscallError as SyscallError
from pkern.kernel.errors import TaskKilled as TaskKilled
from pkern.kernel.log import Record as _Record
from pkern.kernel.machine import Kernel as Kernel
from pkern.kernel.mm.mm import Vma as Vma
from pkern.kernel.tasks.signal.signals import SigInfo as SigInfo
from pkern.kernel.tasks.signal.signames import Signal as Signal
from pkern.kernel.tasks.task import Task as Task
from pkern.userland.program import Sys as Sys
from pkern.userland.runner import Completed as Completed
from pkern.userland.runner import run as run

LogRecord = _Record

__version__: str
