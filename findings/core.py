"""Write small x86-64 core files as core(5), elf(5) and System V's ABI describe them."""

import struct

PN_XNUM = 0xFFFF


def note(name, kind, desc):
    """Return one note; an empty name stands for none."""
    name = name.encode() + b"\0" if name else b""
    padded = [field + bytes(-len(field) % 4) for field in (name, desc)]
    return struct.pack("<III", len(name), len(desc), kind) + b"".join(padded)


def nt_prstatus(pid, first=0):
    """Return a thread's note; its registers, in user_regs_struct's order, count from first."""
    ids = struct.pack("<iiihxxQQ4I", 11, 0, 0, 11, 0, 0, pid, 1, pid, pid)
    regs = struct.pack("<27Q", *range(first, first + 27))
    return note("CORE", 1, ids.ljust(112, b"\0") + regs + bytes(8))


def nt_prpsinfo(pid):
    head = struct.pack("<BcBB4xQ6I", 0, b"R", 0, 0, 0, 0, 0, pid, 1, pid, pid)
    return note("CORE", 3, head + struct.pack("<16s80s", b"prog", b"prog"))


def nt_file(files):
    """files: (start, end, offset in pages, path) of each."""
    ranges = b"".join(struct.pack("<3Q", *entry[:3]) for entry in files)
    names = b"".join(entry[3].encode() + b"\0" for entry in files)
    return note("CORE", 0x46494C45, struct.pack("<QQ", len(files), 4096) + ranges + names)


def write(path, notes, loads):
    """loads: (address, saved bytes) of each one-page PT_LOAD; the rest of a page is not saved."""
    phnum = 1 + len(loads)
    xnum = phnum >= PN_XNUM  # then section header 0 holds the number
    notes_at = 64 + 56 * phnum + 64 * xnum
    data_at = -(-(notes_at + len(notes)) // 4096) * 4096
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    counts = (PN_XNUM, 64, 1, 0) if xnum else (phnum, 64, 0, 0)
    header = struct.pack(
        "<HHI3QI2H4H", 4, 62, 1, 0, 64, 64 + 56 * phnum if xnum else 0, 0, 64, 56, *counts
    )
    table = [struct.pack("<II6Q", 4, 0, notes_at, 0, 0, len(notes), 0, 4)]
    for address, data in loads:
        table.append(struct.pack("<II6Q", 1, 6, data_at, address, 0, len(data), 4096, 4096))
        data_at += -(-len(data) // 4096) * 4096
    sections = struct.pack("<II4QIIQQ", 0, 0, 0, 0, 0, 0, 0, phnum, 0, 0) if xnum else b""
    body = ident + header + b"".join(table) + sections + notes
    body = body.ljust(-(-len(body) // 4096) * 4096, b"\0")
    for _, data in loads:
        body += data + bytes(-len(data) % 4096)
    with open(path, "wb") as file:
        file.write(body)
