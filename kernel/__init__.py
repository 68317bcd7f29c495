"""The pseudo-kernel: objects, memory, files, sysctls, over the C core."""

SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
CALL_NS, BLOCK_NS = 1_000, 10  # of virtual time, unless a machine is booted with other costs
DEFAULT_RAM = "1G"  # of a machine; the host lends what is used of it
