"""Booting a machine as the command line says, and why one does not boot.

Owns the reading of the boot options that options.py declares.
"""

from __future__ import annotations

import os
import sys

from pkern.kernel import DEFAULT_RAM
from pkern.kernel.log import Record
from pkern.kernel.machine import Kernel
from pkern.kernel.typed import TYPE_CHECKING, Iterable
from pkern.userland.cli.options import UsageError, boot_values, existing

if TYPE_CHECKING:
    import argparse


def boot(options: argparse.Namespace) -> Kernel:
    """Return a machine booted as the options say; the caller closes it."""
    sysctls = read_sysctls(options.sysctl, options.sysctl_file)
    try:
        kernel = Kernel(**boot_values(options), sysctl=sysctls or None)
    except (OSError, KeyError, MemoryError, ValueError) as error:
        from pkern.userland.complaints import boot_complaint

        raise UsageError(boot_complaint(error, {"sysctl": sysctls})) from error
    kernel.log.register_console(_show_line)
    _warn_of_a_small_host(kernel, options)
    if options.host:
        mount_host(kernel, options.host)
    return kernel


def _warn_of_a_small_host(kernel: Kernel, options: argparse.Namespace) -> None:
    """Say so where the host cannot back all of the machine's RAM, which is taken as it is used."""
    if options.ram == DEFAULT_RAM:
        return  # nobody asked for so much
    free = host_available()
    if kernel.ram > free:
        print(
            f"pkern: the machine has {kernel.ram >> 20} MiB of RAM and the host {free >> 20} MiB"
            " free; a program that fills it may get pkern killed by the host",
            file=sys.stderr,
        )


def host_available() -> int:
    """Return the bytes of memory that programs of the host may still take (proc(5), meminfo)."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["MemAvailable"].split()[0]) << 10


def _show_line(record: Record) -> None:
    print(record.line(), file=sys.stderr)


def mount_host(kernel: Kernel, folder: str) -> None:
    """Mount a host directory read-only at /host."""
    from pkern.kernel.vfs.fs.hostfs import HostFs

    if not os.path.isdir(folder):
        raise UsageError(f"'{folder}' is not a directory of the host")
    kernel.vfs.mount("/host", HostFs(folder))


def read_sysctls(pairs: Iterable[str], file_name: str | None) -> dict[str, int | str]:
    """Return the sysctls of the file, then those of the NAME=VALUE pairs, which win."""
    result: dict[str, int | str] = {}
    if file_name:
        result.update(parse_sysctl_file(existing(file_name)))
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--sysctl takes NAME=VALUE, as vm.nonlinear=1, not '{pair}'")
        result[sysctl_name(name)] = value.strip()
    return result


def parse_sysctl_file(path: str) -> dict[str, str]:
    """Return the settings of a file in sysctl.conf's format.

    One NAME=VALUE a line; # and ; begin comments; a slash may stand for the dot. What cannot be set
    is left out where a - stands before the name.
    """
    result, may_fail = {}, set()
    with open(path, errors="replace") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{path}, line {number}: expected NAME = VALUE, found '{text}'")
        if text[0] == "-":
            may_fail.add(sysctl_name(name[1:]))
        result[sysctl_name(name.removeprefix("-"))] = value.strip()
    return _without_failing(result, may_fail) if may_fail else result


def _without_failing(settings: dict[str, str], may_fail: set[str]) -> dict[str, str]:
    from pkern.userland.complaints import sysctl_complaint

    with Kernel(ram="4M") as probe:
        return {
            name: value
            for name, value in settings.items()
            if name not in may_fail or sysctl_complaint(probe, name, value) is None
        }


def sysctl_name(name: str) -> str:
    """Return a sysctl's name with dots, from either spelling."""
    return name.strip().replace("/", ".")
