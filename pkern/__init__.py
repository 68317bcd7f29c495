"""The public face of pkern: what a program or a test imports.

The rooms behind it are pkern.kernel, pkern.syscalls and pkern.userland; their folders stand beside
this one in the source tree and are mapped into this package by the build (setup.py).
"""

__version__ = "0.1.0"
