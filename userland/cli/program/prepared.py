"""A machine that has a program, for the commands that run it many times: sweep, explore, replay.

Owns the options that say so, and how they are written again in a command.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.userland.cli.options import BOOT, add_command, add_machine_options, natural
from pkern.userland.cli.parser import HelpfulParser
from pkern.userland.cli.program.run import add_files, add_who, check_files, given_to

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.userland.given import Given

# What a command shows of its options, where they are not as they are without being said.
SHOWN = (*BOOT, "host", "root", "uid", "cwd", "sysctl_file")
REPEATED = ("sysctl", "cap", "env", "limit", "bind")


def add_program(parser: argparse.ArgumentParser, wall: str) -> None:
    """Add PROGRAM, what it is given, and the machine's options. wall: seconds for each copy."""
    add_command(parser)
    group = add_who(parser, uid=1000)
    group.add_argument(
        "--wall",
        default=wall,
        metavar="SECONDS",
        help=f"the host's time for each copy ({wall}); 0: no end",
    )
    group.add_argument(
        "--jobs", type=natural, default=0, metavar="N", help="copies at once (a processor each)"
    )
    add_files(parser)
    add_machine_options(parser)
    usual = {name: parser.get_default(name) for name in SHOWN}
    refuse = parser.error if isinstance(parser, HelpfulParser) else None
    parser.set_defaults(refuse=refuse, usual=usual)


def split_command(options: argparse.Namespace) -> None:
    """Tell the program's name and its arguments apart. Errors: UsageError."""
    check_files(options)
    command = options.command[options.command[:1] == ["--"] :]
    if not command:
        options.refuse("the following arguments are required: PROGRAM")
    options.file, *options.arguments = command
    options.refuse = None  # a parser cannot be sent to another process


def machine(options: argparse.Namespace) -> Kernel:
    """Boot a machine that has the program. Errors: UsageError, CpuUnavailable."""
    from pkern.userland.cli.boot import boot
    from pkern.userland.cli.program.elf_command import fill_root
    from pkern.userland.cli.program.shared import layer_of, show_binds, show_host_root
    from pkern.userland.harness import import_all_calls, is_python
    from pkern.userland.machine_code import boot_scheduler, start_init

    import_all_calls()
    kernel = boot(options)
    if is_python(options.file):
        start_init(kernel)
        show_host_root(kernel, options.root, layer_of(options))
    else:
        boot_scheduler(kernel)
        fill_root(kernel, options.file, options.root, layer_of(options))
    show_binds(kernel, options.bind)
    return kernel


def path_of(options: argparse.Namespace) -> str:
    """Return the program's path where it is run. Errors: UsageError."""
    from pkern.userland.cli.program.run import program_file
    from pkern.userland.harness import is_python

    if options.root is not None and not is_python(options.file):
        return str(options.file)
    file = program_file(options.file)
    return str(file if is_python(options.file) else Path(file).absolute())


def host_path_of(options: argparse.Namespace) -> str:
    """Return the program's path on the host. Errors: UsageError."""
    from pkern.userland.harness import is_python

    path = path_of(options)
    in_root = options.root is not None and not is_python(path)
    return options.root.rstrip("/") + path if in_root else path


def given_of(options: argparse.Namespace) -> Given:
    """Return what the program is given, as pkern run gives it. Errors: UsageError."""
    from pkern.userland.cli.program.elf_command import here
    from pkern.userland.harness import is_python

    usual = None if is_python(options.file) else here(options.root)
    return given_to((options.file, *options.arguments), options, usual)


def command_of(options: argparse.Namespace) -> str:
    """Return the words that stand behind `pkern run` for the same program on the same machine."""
    words: list[str] = []
    for name in SHOWN:
        value = getattr(options, name)
        if value != options.usual[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--overlay"] if options.overlay else []
    for name in REPEATED:
        words += [word for text in getattr(options, name) for word in (f"--{name}", text)]
    return shlex.join([*words, options.file, *options.arguments])


def wall_seconds(options: argparse.Namespace) -> float | None:
    """Return --wall, None where it is 0: no end. Errors: NotGiven."""
    from pkern.userland.given import SECOND, nanoseconds_of

    return None if options.wall == "0" else nanoseconds_of("--wall", options.wall) / SECOND
