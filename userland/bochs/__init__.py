"""The Bochs-like emulator: a guest machine on Unicorn, its memory on this kernel's calls.

`run_bochs` puts a host file into the machine and runs the guest over it; `emulate` is the program.
"""

from pkern.userland.bochs.emulator import GuestError, Job, Report, emulate
from pkern.userland.bochs.image import ImageError, guest_image
from pkern.userland.bochs.loader import LoadError
from pkern.userland.bochs.run import BochsError, BochsResult, machine_ram, main, run_bochs

__all__ = [
    "BochsError",
    "BochsResult",
    "GuestError",
    "ImageError",
    "Job",
    "LoadError",
    "Report",
    "emulate",
    "guest_image",
    "machine_ram",
    "main",
    "run_bochs",
]
