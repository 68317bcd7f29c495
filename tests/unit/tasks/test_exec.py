"""The initial stack, program headers and signal frames, byte for byte."""

from __future__ import annotations

import errno
import struct

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.random import Random
from pkern.kernel.tasks.program import elf
from pkern.kernel.tasks.program.exec import STACK_TOP, Request, stack_image
from pkern.kernel.tasks.signal import sigframe
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SI_QUEUE, SI_USER, SigInfo


def image_of(argv: list[bytes], envp: list[bytes]) -> tuple[int, bytes]:
    request = Request(None, argv, envp, b"/bin/x")  # type: ignore[arg-type]
    return stack_image(request, [(6, 4096), (9, 0x401000)], b"R" * 16)


def string_at(pointer: int, image: bytes, addr: int) -> bytes:
    return image[addr - pointer :].split(b"\0")[0]


def test_the_stack_is_laid_out_as_linux_lays_it() -> None:
    argv, envp = [b"/bin/x", b"", b"two words"], [b"A=1", b"LONG=" + b"x" * 300]
    pointer, image = image_of(argv, envp)
    words = list(struct.unpack_from(f"<{len(image) // 8}Q", image))
    assert pointer % 16 == 0 and words[0] == 3
    assert [string_at(pointer, image, word) for word in words[1:4]] == argv
    assert words[4] == 0
    assert [string_at(pointer, image, word) for word in words[5:7]] == envp
    assert words[7] == 0
    aux = dict(zip(words[8::2], words[9::2], strict=False))
    assert aux[6] == 4096 and aux[9] == 0x401000
    assert string_at(pointer, image, aux[31]) == b"/bin/x"
    assert string_at(pointer, image, aux[15]) == b"x86_64"
    assert image[aux[25] - pointer :][:16] == b"R" * 16
    assert pointer + len(image) == STACK_TOP - 8
    # the strings follow each other: arguments, environment, file name
    assert image.endswith(b"\0".join([*argv, *envp, b"/bin/x", b""]))


def test_an_empty_argv_and_environment() -> None:
    pointer, image = image_of([b""], [])
    words = struct.unpack_from("<4Q", image)
    assert words[0] == 1 and words[2] == words[3] == 0
    assert string_at(pointer, image, words[1]) == b""


def header(**fields: int) -> bytes:
    values = {"kind": 2, "machine": 62, "entry": 0x401000, "phoff": 64, "size": 56, "count": 1}
    v = values | fields
    head = elf.IDENT + bytes(9) + struct.pack("<HHIQQQ", v["kind"], v["machine"], 1, v["entry"],
                                              v["phoff"], 0)  # fmt: skip
    return head + struct.pack("<IHHHHHH", 0, 64, v["size"], v["count"], 0, 0, 0)


def row(kind: int, flags: int, offset: int, vaddr: int, filesz: int, memsz: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, filesz, memsz, 4096)


def test_parse_knows_segments_and_where_the_headers_show() -> None:
    table = row(1, 5, 0, 0x400000, 0x1234, 0x1234) + row(1, 6, 0x2000, 0x403000, 0x10, 0x5000)
    image = elf.parse(header(count=2), table)
    assert [s.flags for s in image.segments] == [5, 6]
    assert image.phdr_vaddr == 0x400040 and image.brk == 0x408000
    assert (image.start, image.span) == (0x400000, 0x8000)
    assert image.interp is None and not image.stack_exec


@pytest.mark.parametrize(
    "table",
    [
        row(1, 5, 0, 0x400000, 2, 1),
        row(1, 5, 1, 0x400000, 1, 1),
        row(1, 5, 0, 1 << 63, 1, 1),
        row(1, 5, 0, 0x400000, 0, 1 << 63),
        row(1, 5, 0, 0x400000, 0, 0),
    ],
)
def test_parse_knows_what_cannot_be_mapped(table: bytes) -> None:
    assert not elf.parse(header(), table).fits


def test_parse_refuses_what_has_nothing_to_load() -> None:
    with pytest.raises(SyscallError) as caught:
        elf.parse(header(), row(2, 5, 0, 0x400000, 1, 1))
    assert caught.value.number == errno.ENOEXEC


def test_siginfo_has_linuxs_layout() -> None:
    fault = sigframe.pack_siginfo(SigInfo(11, 1, si_addr=0x1234))
    assert struct.unpack_from("<iii4xQ", fault) == (11, 0, 1, 0x1234)
    child = sigframe.pack_siginfo(SigInfo(17, 1, 0, 42, 1000, 3))
    assert struct.unpack_from("<iii4xiIi", child) == (17, 0, 1, 42, 1000, 3)
    sent = sigframe.pack_siginfo(SigInfo(15, SI_USER, 0, 7, 1000))
    assert struct.unpack_from("<iii4xiI", sent) == (15, 0, 0, 7, 1000)
    queued = sigframe.pack_siginfo(SigInfo(34, SI_QUEUE, 0, 7, 1000, 0, 99))
    assert struct.unpack_from("<iii4xiIQ", queued) == (34, 0, -1, 7, 1000, 99)
    general = sigframe.pack_siginfo(SigInfo(11, SI_KERNEL))
    assert struct.unpack_from("<iii4xQ", general) == (11, 0, 0x80, 0)
    assert {len(info) for info in (fault, child, sent, queued, general)} == {128}


def test_random_bytes_follow_from_the_seed() -> None:
    first, second = Random(1), Random(1)
    assert [first.take(n) for n in (0, 5, 100)] == [second.take(n) for n in (0, 5, 100)]
    assert Random(1).take(16) != Random(2).take(16) and first.take(16) != first.take(16)
