"""How calls are shown: strace's format, argument by argument."""
