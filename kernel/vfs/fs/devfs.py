"""/dev: names that every machine has; devices.py says what stands there, and what each does."""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.lean import partial
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.fs.latedir import LateDir

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Machine


class DevFs:
    """The devices, at /dev: each is made when it is first looked up, as old as its directory."""

    name = "devtmpfs"
    magic = 0x01021994

    def __init__(self, kernel: Machine) -> None:
        plan = late.function("pkern.kernel.vfs.fs.devices", "plan")
        self.root = LateDir(kernel, 0o755, partial(plan, kernel, kernel.clock.realtime_ns))
        self.root.has_file_flags = True  # Linux's is a tmpfs

    def close(self) -> None:
        """Nothing to give back."""
