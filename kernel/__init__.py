"""The pseudo-kernel: objects, memory, files, sysctls, over the C core."""

SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
DEFAULT_RAM = "1G"  # of a machine; the host lends what is used of it
