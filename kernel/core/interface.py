"""What the compiled core and the Python above it agree on: the headers that cffi reads.

Owns their list, and the number by which a core tells which headers it was built from. The build
runs this file by its path, when there is no package yet; the door to the core imports it.
"""

import os

CORE = os.path.dirname(__file__)
HEADERS = ("core_api.h", "cpu/cpu.h", "cpu/run.h")
PRIME = 2**31 - 1  # a remainder costs a start less than module zlib does


def interface() -> int:
    """Return the number of the headers that lie here."""
    text = b""
    for name in HEADERS:
        with open(os.path.join(CORE, name), "rb") as file:
            text += file.read()
    return int.from_bytes(text, "big") % PRIME
