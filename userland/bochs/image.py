"""The shipped guest: machine code assembled from guest.S with the system's C compiler.

Owns the build and the check of an image's header. The result is kept beside the compiled Python
files under a name that holds the source's checksum, so an old one is never taken for a new one.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

SOURCE = Path(__file__).with_name("guest.S")
MAGIC = b"PKGUEST1"
HEADER = struct.Struct("<8sII")
MAX_BYTES = 64 * 1024
LINK = ("-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-Ttext=0")
FLAT = "-Wl,--oformat=binary"


class ImageError(ValueError):
    """A guest image that is not one, or that could not be assembled."""


def guest_image() -> bytes:
    """Return the shipped guest's machine code, assembling it at the first use.

    Errors: ImageError that says what to install or what the assembler said.
    """
    source = SOURCE.read_bytes()
    cache = SOURCE.parent / "__pycache__" / f"guest-{zlib.crc32(source):08x}.bin"
    if cache.is_file():
        cached = cache.read_bytes()
        if is_image(cached):
            return cached
    image = assemble(SOURCE)
    _keep(cache, image)
    return image


def assemble(source: Path) -> bytes:
    """Return the flat binary of an assembly source.

    Errors: ImageError.
    """
    compiler = shutil.which(os.environ.get("CC", "gcc").split()[0]) or shutil.which("cc")
    if compiler is None:
        raise ImageError(
            "the emulator's guest is assembled with the C compiler, and there is none: "
            "install one, for example with 'apt-get install gcc'"
        )
    with tempfile.TemporaryDirectory(prefix="pkern-") as folder:
        flat = Path(folder) / "guest.bin"
        command = [compiler, *LINK, FLAT, "-o", str(flat), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageError(f"{source.name} could not be assembled:\n{done.stderr.strip()}")
        return flat.read_bytes()


def is_image(data: bytes) -> bool:
    """Tell whether data has a whole image's header and length."""
    try:
        image_entry(data)
    except ImageError:
        return False
    return True


def image_entry(data: bytes) -> int:
    """Return the offset (bytes) of the first instruction of an image.

    Errors: ImageError that says what is wrong with it.
    """
    if len(data) < HEADER.size:
        raise ImageError(f"the guest image is only {len(data)} bytes long: no header")
    magic, entry, nbytes = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ImageError(f"the guest image starts with {magic!r}, not {MAGIC!r}")
    if nbytes != len(data):
        raise ImageError(f"the guest image says {nbytes} bytes but has {len(data)}")
    if nbytes > MAX_BYTES:
        raise ImageError(f"the guest image has {nbytes} bytes; at most {MAX_BYTES} fit")
    if not HEADER.size <= entry < nbytes:
        raise ImageError(f"the guest image's entry {entry:#x} lies outside its code")
    return int(entry)


def _keep(cache: Path, image: bytes) -> None:
    """Store the image for the next run; a folder that cannot be written is no error."""
    try:
        cache.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache.parent, delete=False) as part:
            part.write(image)
        Path(part.name).replace(cache)
    except OSError:
        return
