"""A machine that has a program, for the commands that run it many times: sweep, explore, replay.

Owns the options that say so, and how they are written again in a command.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.userland.cli.options import (
    BOOT,
    add_command,
    add_machine_options,
    natural,
    some_path,
    user_id,
)
from pkern.userland.cli.parser import HelpfulParser

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.userland.given import Given

# What a command shows of its options, where they are not as they are without being said.
SHOWN = (*BOOT, "host", "root", "uid")


def add_program(parser: argparse.ArgumentParser, wall: str) -> None:
    """Add PROGRAM, what it is given, and the machine's options. wall: seconds for each copy."""
    add_command(parser)
    group = parser.add_argument_group("what the program is given")
    group.add_argument("--uid", type=user_id, default=1000, help="its user; 0 is root (1000)")
    group.add_argument(
        "--env", action="append", default=[], metavar="NAME[=VALUE]", help="as of pkern run"
    )
    group.add_argument(
        "--root", type=some_path, metavar="DIR", help="a host directory as /, read only"
    )
    group.add_argument("--overlay", action="store_true", help="which each copy may change")
    group.add_argument(
        "--wall",
        default=wall,
        metavar="SECONDS",
        help=f"the host's time for each copy ({wall}); 0: no end",
    )
    group.add_argument(
        "--jobs", type=natural, default=0, metavar="N", help="copies at once (a processor each)"
    )
    add_machine_options(parser)
    usual = {name: parser.get_default(name) for name in SHOWN}
    refuse = parser.error if isinstance(parser, HelpfulParser) else None
    parser.set_defaults(refuse=refuse, usual=usual)


def split_command(options: argparse.Namespace) -> None:
    """Tell the program's name and its arguments apart."""
    command = options.command[options.command[:1] == ["--"] :]
    if not command:
        options.refuse("the following arguments are required: PROGRAM")
    options.file, *options.arguments = command
    options.refuse = None  # a parser cannot be sent to another process


def machine(options: argparse.Namespace) -> Kernel:
    """Boot a machine that has the program. Errors: UsageError, CpuUnavailable."""
    from pkern.userland.cli.boot import boot
    from pkern.userland.cli.program.elf_command import fill_root
    from pkern.userland.cli.program.shared import layer_of, show_host_root
    from pkern.userland.harness import import_all_calls, is_python
    from pkern.userland.machine_code import boot_scheduler, start_init

    import_all_calls()
    kernel = boot(options)
    if is_python(options.file):
        start_init(kernel)
        show_host_root(kernel, options.root, layer_of(options))
        return kernel
    boot_scheduler(kernel)
    fill_root(kernel, options.file, options.root, layer_of(options))
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
    """Return what the program is given. Errors: NotGiven."""
    from pkern.userland.given import Given, read_env

    return Given(
        (options.file, *options.arguments),
        uid=options.uid,
        env=read_env(options.env) if options.env else None,
        limits={},  # not the usual proxy, which cannot be sent to another process
    )


def command_of(options: argparse.Namespace) -> str:
    """Return the words that stand behind `pkern run` for the same program on the same machine."""
    words: list[str] = []
    for name in SHOWN:
        value = getattr(options, name)
        if value != options.usual[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--overlay"] if options.overlay else []
    words += ["--sysctl-file", options.sysctl_file] if options.sysctl_file else []
    words += [word for text in options.sysctl for word in ("--sysctl", text)]
    words += [word for text in options.env for word in ("--env", text)]
    return shlex.join([*words, options.file, *options.arguments])


def wall_seconds(options: argparse.Namespace) -> float | None:
    """Return --wall, None where it is 0: no end. Errors: NotGiven."""
    from pkern.userland.given import SECOND, nanoseconds_of

    return None if options.wall == "0" else nanoseconds_of("--wall", options.wall) / SECOND
