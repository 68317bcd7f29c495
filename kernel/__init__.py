"""The pseudo-kernel: objects, memory, files, sysctls, over the C core."""

DEFAULT_RAM = "1G"  # of a machine; the host lends what is used of it
