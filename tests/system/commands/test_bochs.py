"""The emulator end to end: a real file, both modes, and guests that misbehave."""

from __future__ import annotations

import errno
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import unicorn
from unicorn import x86_const

from pkern.kernel.machine import Kernel
from pkern.userland.bochs import (
    BochsError,
    BochsResult,
    GuestError,
    ImageError,
    Job,
    LoadError,
    Report,
    emulate,
    guest_image,
    run_bochs,
)
from pkern.userland.bochs.emulator import Machine, load
from pkern.userland.bochs.image import HEADER, MAGIC, assemble, image_entry
from pkern.userland.bochs.loader import (
    CODE,
    DATA,
    MAX_FILE_BYTES,
    PAGE,
    READ_EXEC,
    READ_WRITE,
    SLIDE,
    STACK,
    TABLE,
    WINDOW_BYTES,
    Frames,
    Plan,
    Tables,
    plan_guest,
    ram_bytes_for,
    slot_of,
    split_file,
)
from pkern.userland.cpu import Cpu, CpuStart, CpuWindow
from pkern.userland.engine import CpuUnavailable, engine_library
from pkern.userland.program import Sys

MODES = [0, 1]
LARGE_PAGE = 2 << 20
NAMES = {0: "mmap", 1: "nonlinear"}


def boot(nonlinear: int = 0, ram: str = "64M", **sysctl: int) -> Kernel:
    values = {
        "vm.nonlinear": nonlinear,
        **{name.replace("__", "."): v for name, v in sysctl.items()},
    }
    return Kernel(ram=ram, sysctl=values)


def random_file(folder: Path, nbytes: int, seed: int = 0) -> Path:
    path = folder / f"data-{nbytes}"
    path.write_bytes(random.Random(seed).randbytes(nbytes))
    return path


@pytest.fixture(params=MODES, ids=NAMES.get)
def machine(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with boot(request.param) as kernel:
        yield kernel
        kernel.check()


def build(tmp_path: Path, code: str) -> bytes:
    """Assemble a guest of a few instructions, with the image's header."""
    source = tmp_path / "case.S"
    source.write_text(
        '.text\nimage: .ascii "PKGUEST1"\n.long _start - image\n.long image_end - image\n'
        f".globl _start\n_start:\n{code}\nimage_end:\n"
        '.section .note.GNU-stack, "", @progbits\n'
    )
    return assemble(source)


@pytest.mark.parametrize("nbytes", [0, 1, 4095, 4096, 4097, 5 * PAGE, 1_000_001])
def test_the_guest_sums_a_file_as_zlib_does(machine: Kernel, tmp_path: Path, nbytes: int) -> None:
    path = random_file(tmp_path, nbytes)
    result = run_bochs(machine, path)
    assert result.correct
    assert result.crc == zlib.crc32(path.read_bytes())
    assert result.file_bytes == nbytes


def test_the_closed_gate_means_mmap_mode_and_says_so(tmp_path: Path) -> None:
    with boot(0) as kernel:
        result = run_bochs(kernel, random_file(tmp_path, 100_000))
    assert result.mode == "mmap"
    assert "EPERM" in result.note
    assert result.remap_calls == 0


def test_the_open_gate_means_one_vma_and_the_same_answer(tmp_path: Path) -> None:
    path = random_file(tmp_path, 100 * PAGE)
    results: dict[str, BochsResult] = {}
    for mode in MODES:
        with boot(mode) as kernel:
            result = run_bochs(kernel, path)
            results[result.mode] = result
    nonlinear, plain = results["nonlinear"], results["mmap"]
    assert nonlinear.crc == plain.crc
    assert nonlinear.remap_calls >= 100
    assert nonlinear.mmap_calls == 1
    assert plain.mmap_calls >= 100
    assert plain.vmas > 48 > nonlinear.vmas


def test_cr3_change_and_invlpg_reach_the_window(machine: Kernel, tmp_path: Path) -> None:
    result = run_bochs(machine, random_file(tmp_path, 40 * PAGE))
    assert result.window_drops == 1
    assert result.stale_pages == 4  # four pages through one linear page, after the boot page
    assert result.correct


def test_even_one_page_meets_cr3_and_invlpg(machine: Kernel, tmp_path: Path) -> None:
    result = run_bochs(machine, random_file(tmp_path, 10))
    assert (result.window_drops, result.stale_pages, result.correct) == (1, 1, True)


def test_runs_are_the_same_but_for_time(tmp_path: Path) -> None:
    path = random_file(tmp_path, 50 * PAGE)
    seen = set()
    for _ in range(2):
        with boot(1) as kernel:
            result = run_bochs(kernel, path)
        seen.add((result.crc, result.remap_calls, result.vmas, result.faults, result.maps))
    assert len(seen) == 1


def test_another_seed_scatters_otherwise_and_sums_the_same(tmp_path: Path) -> None:
    path = random_file(tmp_path, 50 * PAGE)
    with boot(1) as kernel:
        assert run_bochs(kernel, path, seed=1).crc == run_bochs(kernel, path, seed=2).crc
    image = guest_image()
    plans = [plan_guest(image, 50 * PAGE, 16 << 20, seed).file_frames for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_too_many_vmas_drop_the_window_and_go_on(tmp_path: Path) -> None:
    with boot(0, vm__max_map_count=64) as kernel:
        result = run_bochs(kernel, random_file(tmp_path, 300 * PAGE))
    assert result.correct
    assert result.evictions > 0
    assert result.vmas <= 65


def test_too_many_pinned_pages_drop_the_window_and_go_on(tmp_path: Path) -> None:
    with boot(1, vm__nonlinear_max_pages=32) as kernel:
        result = run_bochs(kernel, random_file(tmp_path, 300 * PAGE))
    assert result.correct
    assert result.mode == "nonlinear"
    assert result.evictions > 0


GUEST_FAULTS = {
    "read of an absent page": ("mov $0x700123, %eax\nmov (%rax), %rbx\nhlt", "read .*0x700123"),
    "write of an absent page": ("mov $0x700123, %eax\nmov %bl, (%rax)\nhlt", "write .*0x700123"),
    "store into code": (
        "lea image(%rip), %rax\nmovb $1, 8(%rax)\nhlt",
        r"not allowed, error code 3",
    ),
    "store into the file": ("movb $1, 0x10000008\nhlt", r"not allowed, error code 3"),
    "second page of a load": ("mov $0x200ffc, %eax\nmov (%rax), %rbx\nhlt", "read .*0x201000"),
    "jump to data": ("mov $0x200010, %eax\njmp *%rax", "fetch .*error code 17.*0x200010"),
    "jump to nothing": ("mov $0x700123, %eax\njmp *%rax", "fetch .*0x700123"),
    "address that is not canonical": (
        "mov $1, %eax\nshl $60, %rax\nmov 0x100000(%rax), %rbx",
        "vector 13 ",
    ),
    "division by zero": ("xor %ecx, %ecx\nxor %edx, %edx\ndiv %ecx", "vector 0 "),
    "undefined instruction": ("ud2", "vector 6 "),
    "breakpoint": ("int3", "vector 3 "),
    "tables outside RAM": ("mov $0x7ffff000, %eax\nmov %rax, %cr3\nnop\nhlt", "outside its RAM"),
    "endless loop": ("jmp .", "longer than it was allowed"),
    "empty tables": ("xor %eax, %eax\nmov %rax, %cr3\nnop\nhlt", "fetch"),
}


@pytest.mark.parametrize("case", GUEST_FAULTS)
def test_what_the_guest_did_wrong_is_reported(machine: Kernel, tmp_path: Path, case: str) -> None:
    code, words = GUEST_FAULTS[case]
    guest = build(tmp_path, code)
    with pytest.raises(GuestError, match=words):
        run_bochs(machine, random_file(tmp_path, 10 * PAGE), guest=guest, budget=100_000)
    machine.check()


def test_a_table_entry_outside_ram_is_reported(machine: Kernel, tmp_path: Path) -> None:
    guest = build(
        tmp_path,
        "mov 40(%rdi), %rax\nmov %rax, %cr3\nmov $0x500000, %ebx\n"
        "movabs $0x7ffff001, %rcx\nmov %rcx, (%rbx)\nmov 0x600000, %al\nhlt",
    )
    with pytest.raises(GuestError, match=r"outside its RAM, to 0x7ffff000"):
        run_bochs(machine, random_file(tmp_path, PAGE), guest=guest)


def test_a_guest_that_halts_without_a_sum_is_reported(machine: Kernel, tmp_path: Path) -> None:
    guest = build(tmp_path, "mov $'x', %al\nout %al, $0xe9\nhlt")
    with pytest.raises(BochsError, match="without a sum; it said: x"):
        run_bochs(machine, random_file(tmp_path, PAGE), guest=guest)


def test_stores_of_the_guest_reach_its_ram_and_mark_the_entry_dirty(
    machine: Kernel, tmp_path: Path
) -> None:
    # Store to the sliding page; print what is read back, then its entry's low byte.
    guest = build(
        tmp_path,
        "mov 40(%rdi), %rax\nmov %rax, %cr3\nmov $0x500000, %ebx\n"
        "mov 80(%rdi), %rcx\nmov %rcx, (%rbx)\nmov 0x600000, %al\norq $2, (%rbx)\ninvlpg 0x600000\n"
        "movb $'k', 0x600000\nmov 0x600000, %al\nout %al, $0xe9\n"
        "mov (%rbx), %rax\nout %al, $0xe9\nhlt",
    )
    path = random_file(tmp_path, PAGE)
    sys = Sys(machine.spawn("bochs", uid=0))
    fd = sys.open("/tmp/in", sys.O_RDWR | sys.O_CREAT, 0o644)
    sys.write(fd, path.read_bytes())
    report = emulate(sys, Job("/tmp/in", guest=guest))
    sys.exit(0)
    assert report.output == b"k\x63"  # present, writable, accessed, dirty


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"", "no header"),
        (b"\x7fELF" + bytes(60), "starts with"),
        (HEADER.pack(MAGIC, 16, 4096), "says 4096 bytes"),
        (HEADER.pack(MAGIC, 4, 16 + 4) + bytes(4), "entry"),
        (HEADER.pack(MAGIC, 99, 16 + 4) + bytes(4), "entry"),
        (HEADER.pack(MAGIC, 16, 16 + (1 << 17)) + bytes(1 << 17), "at most"),
    ],
)
def test_a_corrupt_image_is_refused(
    machine: Kernel, tmp_path: Path, damage: bytes, words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        run_bochs(machine, random_file(tmp_path, PAGE), guest=damage)


def test_a_corrupted_guest_ends_with_a_report(machine: Kernel, tmp_path: Path) -> None:
    image = guest_image()
    path = random_file(tmp_path, 3 * PAGE)
    chance = random.Random(5)
    for _ in range(12):
        broken = bytearray(image)
        for _ in range(4):
            broken[chance.randrange(image_entry(image), len(image))] = chance.randrange(256)
        try:
            run_bochs(machine, path, guest=bytes(broken), budget=50_000)
        except (GuestError, BochsError):
            continue
    machine.check()


def test_assembler_errors_are_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="could not be assembled"):
        build(tmp_path, "this is no instruction")


def test_a_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="apt-get install"):
        build(tmp_path, "hlt")


def test_a_missing_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    engine_library.cache_clear()
    with boot() as kernel, pytest.raises(CpuUnavailable, match="pip install"):
        task = kernel.spawn("bochs")
        Cpu(kernel.core, task.mm.handle, CpuWindow(0x10000, PAGE, 0x20000, PAGE))


@pytest.mark.parametrize(
    "window",
    [
        CpuWindow(0x10001, PAGE, 0x20000, PAGE),
        CpuWindow(0x10000, 0, 0x20000, PAGE),
        CpuWindow(0x10000, PAGE, 0x20000, 5),
        CpuWindow((1 << 64) - PAGE, PAGE, 0x20000, PAGE),
    ],
)
def test_a_window_that_cannot_be_is_refused(window: CpuWindow) -> None:
    with boot() as kernel, pytest.raises(ValueError, match="not valid"):
        Cpu(kernel.core, kernel.spawn("bochs").mm.handle, window)


def test_a_machine_too_small_says_how_large_it_must_be(tmp_path: Path) -> None:
    with boot(ram="4M") as kernel:
        with pytest.raises(BochsError, match=r"--ram \d+M"):
            run_bochs(kernel, random_file(tmp_path, 6 << 20))
        kernel.check()


def test_every_refused_allocation_ends_cleanly(machine: Kernel, tmp_path: Path) -> None:
    path = random_file(tmp_path, 6 * PAGE)
    outcomes = set()
    for nth in [*range(1, 40), *range(40, 400, 7)]:
        machine.fail_nth(nth)
        try:
            outcomes.add(run_bochs(machine, path).correct)
        except BochsError:
            outcomes.add(None)
        machine.fail_nth(0)
        machine.check()
    assert outcomes == {True, None}


def test_a_missing_file_is_the_hosts_error(machine: Kernel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_bochs(machine, tmp_path / "nothing")


def test_the_program_sees_a_missing_file_as_enoent(machine: Kernel) -> None:
    sys = Sys(machine.spawn("bochs"))
    with pytest.raises(OSError) as caught:
        emulate(sys, Job("/tmp/nothing"))
    assert caught.value.errno == errno.ENOENT


def test_the_loader_refuses_what_the_window_cannot_show() -> None:
    with pytest.raises(LoadError, match="the guest can read"):
        ram_bytes_for(MAX_FILE_BYTES + 1)
    assert DATA + MAX_FILE_BYTES == WINDOW_BYTES


def test_frames_run_out_with_a_clear_error() -> None:
    frames = Frames(3 * PAGE, seed=0)
    assert {frames.take(), frames.take()} == {1, 2}
    with pytest.raises(LoadError, match="does not fit"):
        frames.take()


@pytest.mark.parametrize("nbytes", [0, 1, 4096, 16384, 16385, 20480, 1 << 20])
def test_the_parts_are_the_whole_file(nbytes: int) -> None:
    parts = split_file(nbytes)
    assert parts.first + parts.second + parts.slide == nbytes
    assert parts.first % PAGE == parts.second % PAGE == 0


def test_two_emulators_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = random_file(tmp_path, 30 * PAGE)
    with boot(0) as one, boot(1) as two:
        assert run_bochs(one, path).crc == run_bochs(two, path).crc


def test_the_engines_own_walker_leaves_the_same_tables(machine: Kernel, tmp_path: Path) -> None:
    """The oracle: the hardware walker of the engine runs the same guest over the same RAM."""
    data = random.Random(3).randbytes(37 * PAGE + 5)
    ram_bytes = ram_bytes_for(len(data))
    plan = plan_guest(guest_image(), len(data), ram_bytes, seed=4)
    sys = Sys(machine.spawn("bochs", uid=0))
    fd = sys.open("/tmp/in", sys.O_RDWR | sys.O_CREAT, 0o644)
    sys.write(fd, data)
    sys.lseek(fd, 0, sys.SEEK_SET)
    emulated = Machine(sys, ram_bytes)
    load(emulated, plan, fd)
    report = emulated.run(plan, budget=0)
    output, ram = run_on_the_engines_walker(plan, data, ram_bytes)
    assert report.output == output == b"%08x\n" % zlib.crc32(data)
    for frame in plan.pages:
        at = frame * PAGE
        assert sys.load(emulated.ram + at, PAGE) == ram[at : at + PAGE], f"frame {frame}"
    sys.exit(0)


@dataclass
class Bench:
    """A guest under test whose page tables the test writes itself."""

    sys: Sys
    machine: Machine
    tables: Tables
    root: int
    pages: dict[int, bytes]

    def run(self, code: bytes) -> Report:
        """Map the code and a stack, store everything, run."""
        frame = 3 * LARGE_PAGE // PAGE + 1
        self.pages[frame] = code
        self.tables.map(self.root, CODE, frame, READ_EXEC)
        self.tables.map(self.root, STACK, frame + 1, READ_WRITE)
        self.pages.update(dict(self.tables.pages()))
        start = CpuStart(CODE + image_entry(code), STACK + PAGE, 0, self.root * PAGE)
        load(self.machine, Plan(start, self.pages, []), self.sys.open("/dev/null", 0, 0))
        return self.machine.run(Plan(start, self.pages, []), budget=100_000)

    def entry(self, linear: int) -> int:
        """Return the leaf entry of linear, as the guest left it."""
        table = self.tables.table_at(self.root, linear, 0)
        at = self.machine.ram + table * PAGE + (linear >> 12 & 511) * 8
        return int.from_bytes(self.sys.load(at, 8), "little")


@pytest.fixture
def bench(machine: Kernel) -> Iterator[Bench]:
    made = make_bench(machine)
    yield made
    made.sys.exit(0)


def make_bench(kernel: Kernel) -> Bench:
    """Return a guest machine with 16 MiB of RAM and empty page tables."""
    sys = Sys(kernel.spawn("bochs"))
    tables = Tables(Frames(LARGE_PAGE, seed=0))
    return Bench(sys, Machine(sys, 16 << 20), tables, tables.new(), {})


def test_a_store_after_a_load_marks_the_entry_dirty(bench: Bench, tmp_path: Path) -> None:
    for linear, frame in ((TABLE, 1200), (TABLE + PAGE, 1201)):
        bench.tables.map(bench.root, linear, frame, READ_WRITE)
    bench.run(build(tmp_path, "mov 0x400000, %eax\nmov 0x401000, %ebx\nmov %eax, 0x400000\nhlt"))
    assert bench.entry(TABLE) & 0x60 == 0x60
    assert bench.entry(TABLE + PAGE) & 0x60 == 0x20


def test_a_dirty_bit_that_the_guest_cleared_is_set_again(bench: Bench, tmp_path: Path) -> None:
    bench.tables.map(bench.root, TABLE, 1200, READ_WRITE)
    bench.tables.map(bench.root, SLIDE, bench.tables.table_at(bench.root, TABLE, 0), READ_WRITE)
    code = (
        "mov %eax, 0x400000\nandq $~0x40, 0x600000\ninvlpg 0x400000\n"
        "mov 0x400000, %eax\nmov 0x600000, %rbx\nmov %eax, 0x400000\n"
        "mov %bl, %al\nout %al, $0xe9\nhlt"
    )
    assert bench.run(build(tmp_path, code)).output == b"\x23"  # clean after the load
    assert bench.entry(TABLE) & 0x60 == 0x60
    assert bench.entry(SLIDE) & 0x60 == 0x60  # loaded and stored by one instruction


def test_a_large_page_is_shown_page_by_page(bench: Bench, tmp_path: Path) -> None:
    bench.tables.map_large(bench.root, 4 * LARGE_PAGE, LARGE_PAGE, READ_WRITE)
    bench.pages[(LARGE_PAGE + 0x5000) // PAGE] = b"?" * 0x234 + b"L"
    code = "mov 0x805234, %al\nout %al, $0xe9\nmovb $'k', 0x900000\nhlt"
    assert bench.run(build(tmp_path, code)).output == b"L"
    assert bench.sys.load(bench.machine.ram + LARGE_PAGE + 0x100000, 1) == b"k"


def test_a_reserved_bit_in_a_table_is_reported(bench: Bench, tmp_path: Path) -> None:
    bench.tables.set_entry(bench.root, 1, PAGE | READ_WRITE | 0x80)
    with pytest.raises(GuestError, match=r"reserved bit.*error code 9\).*0x8000000000"):
        bench.run(build(tmp_path, "mov $1, %eax\nshl $39, %rax\nmov (%rax), %bl\nhlt"))


FAR = 1 << 39  # translated by entries that nothing else uses; allowed means "beyond the window"
ACCESSES = {
    "read": ("mov (%rax), %bl", 0),
    "write": ("mov %bl, (%rax)", 2),
    "fetch": ("jmp *%rax", 16),
}
DAMAGES = {"none": (0, 0), "absent": (1, 0), "read only": (2, 0), "no execute": (0, 1 << 63)}


def expected_code(damage: str, access: int) -> int | None:
    """Return the error code that the architecture gives, None where the access is allowed."""
    if damage == "absent":
        return access
    forbidden = {"read only": 2, "no execute": 16}
    return access | 1 if access and forbidden.get(damage) == access else None


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_each_level_can_forbid_an_access(tmp_path: Path, level: int, damage: str) -> None:
    clear, put = DAMAGES[damage]
    for instruction, access in ACCESSES.values():
        with boot(1) as kernel:
            bench = make_bench(kernel)
            bench.tables.map(bench.root, FAR, 1200, 3)
            table = bench.tables.table_at(bench.root, FAR, level)
            entry = bench.tables.entry(table, slot_of(FAR, level))
            bench.tables.set_entry(table, slot_of(FAR, level), entry & ~clear | put)
            code = expected_code(damage, access)
            words = "beyond the window" if code is None else rf"error code {code}\) of 0x8000000000"
            with pytest.raises(GuestError, match=words):
                bench.run(build(tmp_path, f"mov $1, %eax\nshl $39, %rax\n{instruction}\nhlt"))


def test_code_rewritten_through_another_mapping_is_fresh(bench: Bench, tmp_path: Path) -> None:
    bench.tables.map(bench.root, DATA, 1200, READ_WRITE)
    bench.tables.map(bench.root, DATA + 5 * PAGE, 1200, READ_EXEC)
    bench.pages[1200] = bytes.fromhex("b061c3")  # mov $'a', %al; ret
    code = (
        "mov $0x10005000, %ebx\nmov $4, %r12d\n1: call *%rbx\nout %al, $0xe9\n"
        "incb 0x10000001\ndec %r12d\njnz 1b\nhlt"
    )
    assert bench.run(build(tmp_path, code)).output == b"abcd"


def test_a_page_beyond_the_window_is_reported(bench: Bench, tmp_path: Path) -> None:
    bench.tables.map(bench.root, WINDOW_BYTES, 1200, READ_WRITE)
    with pytest.raises(GuestError, match="0x40000000 lies beyond the window"):
        bench.run(build(tmp_path, "mov 0x40000000, %al\nhlt"))


def test_user_mode_may_not_touch_the_supervisors_pages(bench: Bench, tmp_path: Path) -> None:
    bench.tables.map(bench.root, DATA, 1200, READ_EXEC | 4)
    bench.pages[1200] = bytes.fromhex("8b042500002000")  # mov 0x200000, %eax: the stack
    code = (
        "lgdt gdtr(%rip)\npush $0x13\npush $0\npushf\npush $0x0b\npush $0x10000000\niretq\n"
        ".align 8\ngdt: .quad 0, 0x00affb000000ffff, 0x00cff3000000ffff\n"
        "gdtr: .word 23\n.quad 0x100000 + gdt - image\n"
    )
    with pytest.raises(GuestError, match=r"user read \(not allowed, error code 5\) of 0x200000"):
        bench.run(build(tmp_path, code))


def run_on_the_engines_walker(plan: Plan, data: bytes, ram_bytes: int) -> tuple[bytes, bytes]:
    """Run the planned guest on Unicorn alone; return its output and its RAM afterwards."""
    engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    engine.mem_map(0, ram_bytes)
    for frame, contents in plan.pages.items():
        engine.mem_write(frame * PAGE, contents)
    for index, frame in enumerate(plan.file_frames):
        engine.mem_write(frame * PAGE, data[index * PAGE : (index + 1) * PAGE])
    output = bytearray()
    engine.hook_add(
        unicorn.UC_HOOK_INSN,
        lambda uc, port, size, value, user: output.append(value),
        None,
        1,
        0,
        x86_const.UC_X86_INS_OUT,
    )
    engine.msr_write(0xC0000080, 0xD00)
    engine.reg_write(x86_const.UC_X86_REG_CR4, 0x220)
    engine.reg_write(x86_const.UC_X86_REG_CR3, plan.start.cr3)
    engine.reg_write(x86_const.UC_X86_REG_CR0, 0x80010001)
    engine.reg_write(x86_const.UC_X86_REG_RSP, plan.start.rsp)
    engine.reg_write(x86_const.UC_X86_REG_RDI, plan.start.rdi)
    engine.emu_start(plan.start.rip, 0)
    return bytes(output), bytes(engine.mem_read(0, ram_bytes))
