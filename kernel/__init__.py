"""The pseudo-kernel: objects, memory, files, sysctls, over the C core."""
