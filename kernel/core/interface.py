"""What the compiled core and the Python above it agree on: the headers that cffi reads.

Owns their list, and the number by which a core tells which headers it was built from. The build
runs this file by its path, when there is no package yet; the door to the core imports it.
"""

import _imp
import os

CORE = os.path.dirname(__file__)
HEADERS = ("core_api.h", "cpu/cpu.h", "cpu/run.h")


def interface() -> int:
    """Return the number of the headers that lie here."""
    text = b""
    for name in HEADERS:
        with open(os.path.join(CORE, name), "rb") as file:
            text += file.read()
    number = _imp.source_hash(0, text)  # importlib's own, of its bytecode's sources
    return int.from_bytes(number[:4], "little") >> 1
