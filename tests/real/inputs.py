"""The inputs of the table that no compiler makes: a disk to boot from, and who boots it."""

from __future__ import annotations

from pathlib import Path

MESSAGE = b"boot sector in real mode\n"
# cs:7c00  mov si, message; lodsb; test al, al; jz halt; out 0xe9, al; jmp lodsb; then 'shutdown' of
# bochs: the string "Shutdown" to port 0x8900.
CODE = bytes.fromhex(
    "31c0 8ed8"  # xor ax, ax; mov ds, ax
    "be 247c"  # mov si, 0x7c24
    "ac 84c0 7404 e6e9 ebf7"  # lodsb; test al, al; jz +4; out 0xe9, al; jmp -9
    "ba 0089"  # mov dx, 0x8900
    "ac 84c0 7403 ee ebf8"  # lodsb; test al, al; jz +3; out dx, al; jmp -8
    "fa f4"  # cli; hlt
)
BOCHSRC = """\
megs: 16
romimage: file=/usr/share/bochs/BIOS-bochs-legacy
vgaromimage: file=/usr/share/vgabios/vgabios.bin
floppya: 1_44={disk}, status=inserted
boot: floppy
port_e9_hack: enabled=1
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
cpu: ips=1000000
"""


def boot_sector() -> bytes:
    """Return 512 bytes that write a message to port 0xE9 and then ask the emulator to end."""
    text = CODE.ljust(0x24, b"\x90") + MESSAGE + b"\0" + b"Shutdown\0"
    return text.ljust(510, b"\0") + b"\x55\xaa"


def write_inputs(built: Path) -> None:
    """Write all of them to the folder of what is compiled."""
    disk = built / "floppy"
    disk.write_bytes(boot_sector().ljust(1440 << 10, b"\0"))
    (built / "bochsrc").write_text(BOCHSRC.format(disk=disk))
