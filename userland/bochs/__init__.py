"""The Bochs-like emulator: a guest machine on Unicorn, its memory on this kernel's calls.

`run_bochs` puts a host file into the machine and runs the guest over it; `emulate` is the program.
"""

from userland.bochs.emulator import GuestError, Job, Report, emulate
from userland.bochs.image import ImageError, guest_image
from userland.bochs.loader import LoadError
from userland.bochs.run import BochsError, BochsResult, machine_ram, main, run_bochs

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
