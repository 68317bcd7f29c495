"""/proc/cpuinfo: what the processor's own CPUID says, in Linux's words and order."""

from __future__ import annotations

from pkern.kernel.core import ffi, lib
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine

TSC_MHZ = 1000  # the processor's counter moves once a virtual nanosecond
EAX, EBX, ECX, EDX = range(4)
BASIC, FEATURES, CACHES, MORE_FEATURES = 0, 1, 4, 7
EXTENDED, BRAND, ADDRESSES = 0x80000001, 0x80000002, 0x80000008

# (leaf, register, names of bits from 0; "-": Linux shows no name), in the order of Linux's flags.
FLAGS: tuple[tuple[int, int, str], ...] = (
    (FEATURES, EDX, """
        fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts
        acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"""),
    (EXTENDED, EDX, """
        - - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm
        3dnowext 3dnow"""),
    (FEATURES, ECX, """
        pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid
        dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand
        hypervisor"""),
    (EXTENDED, ECX, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a"),
    (MORE_FEATURES, ECX, "- avx512vbmi umip pku ospke"),
)  # fmt: skip


def cpuid(kernel: Machine, leaf: int, sub: int = 0) -> tuple[int, int, int, int]:
    """Return eax, ebx, ecx and edx of the processor's CPUID."""
    words = ffi.new("uint32_t[4]")
    lib.cpuid_read(kernel.memory.core, leaf, sub, words)
    return words[0], words[1], words[2], words[3]


def flags(kernel: Machine) -> str:
    """Return the names of all features."""
    found = [
        name
        for leaf, register, names in FLAGS
        for bit, name in enumerate(names.split())
        if name != "-" and cpuid(kernel, leaf)[register] >> bit & 1
    ]
    return " ".join(found)


def _text(*words: int) -> str:
    raw = b"".join(word.to_bytes(4, "little") for word in words)
    return raw.split(b"\0")[0].decode()


def _vendor(kernel: Machine) -> str:
    _, ebx, ecx, edx = cpuid(kernel, BASIC)
    return _text(ebx, edx, ecx)


def _model(kernel: Machine) -> tuple[int, int, int]:
    """Return family, model and stepping."""
    signature = cpuid(kernel, FEATURES)[EAX]
    family = signature >> 8 & 0xF
    model = signature >> 4 & 0xF | (signature >> 12 & 0xF0 if family in (6, 15) else 0)
    return family + (signature >> 20 & 0xFF if family == 15 else 0), model, signature & 0xF


def _cache_kb(kernel: Machine) -> int:
    """Return the size of the last cache."""
    size, sub = 0, 0
    while (leaf := cpuid(kernel, CACHES, sub))[EAX] & 0x1F:
        ways, partitions, line = leaf[EBX] >> 22, leaf[EBX] >> 12 & 0x3FF, leaf[EBX] & 0xFFF
        size = (ways + 1) * (partitions + 1) * (line + 1) * (leaf[ECX] + 1)
        sub += 1
    return size >> 10


def rows(kernel: Machine) -> list[tuple[str, object]]:
    """Return the names and values of one processor's lines."""
    family, model, stepping = _model(kernel)
    line = (cpuid(kernel, FEATURES)[EBX] >> 8 & 0xFF) * 8
    bits = cpuid(kernel, ADDRESSES)[EAX]
    brand = _text(*(word for part in range(3) for word in cpuid(kernel, BRAND + part)))
    return [
        ("processor", 0), ("vendor_id", _vendor(kernel)), ("cpu family", family), ("model", model),
        ("model name", brand), ("stepping", stepping), ("cpu MHz", f"{TSC_MHZ}.000"),
        ("cache size", f"{_cache_kb(kernel)} KB"), ("physical id", 0), ("siblings", 1),
        ("core id", 0),
        ("cpu cores", 1), ("apicid", 0), ("initial apicid", 0), ("fpu", "yes"),
        ("fpu_exception", "yes"), ("cpuid level", cpuid(kernel, BASIC)[EAX]), ("wp", "yes"),
        ("flags", flags(kernel)), ("bugs", ""), ("bogomips", f"{2 * TSC_MHZ}.00"),
        ("clflush size", line), ("cache_alignment", line),
        ("address sizes", f"{bits & 0xFF} bits physical, {bits >> 8 & 0xFF} bits virtual"),
        ("power management", ""),
    ]  # fmt: skip


def _row(name: str, value: str) -> str:
    tabs = "\t" * max(0, 2 - len(name) // 8)
    return f"{name}{tabs}:" + (f" {value}\n" if value else "\n")


def cpuinfo(kernel: Machine) -> str:
    """The processor that programs in machine code find. Source: proc_cpuinfo(5)."""
    return "".join(_row(name, str(value)) for name, value in rows(kernel)) + "\n"
