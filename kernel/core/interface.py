"""What the compiled core and the Python above it agree on: the headers that cffi reads.

Owns their list, and the number by which a core tells which headers it was built from. The build
runs this file by its path, when there is no package yet; the door to the core imports it.
"""

from binascii import crc32
from pathlib import Path

CORE = Path(__file__).parent
HEADERS = ("core_api.h", "cpu/cpu.h", "cpu/run.h")


def interface() -> int:
    """Return the number of the headers that lie here."""
    number = 0
    for name in HEADERS:
        number = crc32((CORE / name).read_bytes(), number)
    return number
