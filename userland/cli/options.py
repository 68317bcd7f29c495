"""The command line's shared ground: options of a machine, and errors that say what to do.

Owns: the boot options (--ram, --sysctl, ...), their reading, and `UsageError`, which every command
raises for a mistake of the user; main() prints it as one sentence and exits with 2.
"""

import argparse
import difflib
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import psutil
import structlog

from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.hostfs import HostFs

OURS = [Path(__file__).parents[2] / name for name in ("kernel", "syscalls", "userland")]
AMPLE = "ample"
NO_UID = (1 << 32) - 1  # (uid_t)-1
LOGGED = {signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
RMAPS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")


class UsageError(Exception):
    """The user asked for something that cannot be; the text says what to do."""


class HelpfulParser(argparse.ArgumentParser):
    """An argument parser whose complaint about a wrong flag names the flag that was meant."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint, the nearest known flag and where help is; exit with 2."""
        known = self.flags()
        words = message.rpartition(":")[2].split()
        unknown = [word for word in words if word.startswith("-") and word not in known]
        guesses = [guess for word in unknown for guess in nearest(word, known)]
        hint = f" Did you mean {guesses[0]}?" if guesses else ""
        self.exit(2, f"{self.prog}: {message}.{hint} '{self.prog} --help' shows examples.\n")

    def flags(self) -> list[str]:
        """Return every flag that this parser or one of its commands knows."""
        flags: list[str] = []
        for action in self._actions:
            flags += action.option_strings
            if isinstance(action.choices, dict):
                flags += [flag for command in action.choices.values() for flag in command.flags()]
        return flags


def say_ended(program: str, signo: int) -> None:
    """Say that a signal ended a program, and where the log says why."""
    try:
        name = signal.Signals(signo).name
    except ValueError:
        name = f"signal {signo}"
    hint = "; --dmesg shows where" if signo in LOGGED else ""
    print(f"{program}: ended by {name}{hint}", file=sys.stderr)


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words most like word, best first."""
    return difflib.get_close_matches(word.split("=")[0], list(known), n=3, cutoff=0.6)


def user_id(text: str) -> int:
    """Return the uid that an argument names."""
    if not text.isdecimal() or int(text) >= NO_UID:
        raise argparse.ArgumentTypeError(f"a user is a number from 0 to {NO_UID - 1}, not '{text}'")
    return int(text)


def machine_options(ram: str = "64M") -> HelpfulParser:
    """Return the parent parser of a command that boots a machine.

    ram: what --ram is if it is not given; AMPLE leaves the choice to the command.
    """
    parser = HelpfulParser(add_help=False)
    group = parser.add_argument_group("the machine")
    group.add_argument("--ram", default=ram, metavar="SIZE", help=f"RAM, as 16M or 1G ({ram})")
    group.add_argument(
        "--sysctl",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a sysctl at boot, as vm.nonlinear=1; may be repeated",
    )
    group.add_argument(
        "--sysctl-file", metavar="FILE", help="set those of a file in sysctl.conf's format first"
    )
    group.add_argument("--rmap", default=RMAPS[0], choices=RMAPS, help="the reverse map")
    group.add_argument(
        "--nrpte",
        type=int,
        default=7,
        metavar="N",
        help="ptes in a block of a pte chain, 1..31 (7)",
    )
    group.add_argument(
        "--swap", default="0", metavar="SIZE", help="a swap device that is on from boot (0: none)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="boot seed (0)")
    group.add_argument(
        "--host", metavar="DIR", help="show this host directory, read only, under /host"
    )
    return parser


def boot(options: argparse.Namespace) -> Kernel:
    """Return a machine booted as the options say; the caller closes it."""
    show_kernel_log()
    sysctls = read_sysctls(options.sysctl, options.sysctl_file)
    try:
        kernel = Kernel(
            ram=options.ram,
            seed=options.seed,
            rmap=options.rmap,
            nrpte=options.nrpte,
            swap=options.swap,
            sysctl=sysctls or None,
        )
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(boot_complaint(error, sysctls)) from error
    _warn_of_a_small_host(kernel)
    if options.host:
        mount_host(kernel, Path(options.host))
    return kernel


def _warn_of_a_small_host(kernel: Kernel) -> None:
    """Say so where the host cannot back all of the machine's RAM, which is taken as it is used."""
    free = psutil.virtual_memory().available
    if kernel.ram > free:
        print(
            f"pkern: the machine has {kernel.ram >> 20} MiB of RAM and the host {free >> 20} MiB"
            " free; a program that fills it may get pkern killed by the host",
            file=sys.stderr,
        )


def show_kernel_log() -> None:
    """Let the log lines that are for the console go to standard error, as dmesg shows them."""
    structlog.configure(
        processors=[_dmesg_line],
        logger_factory=lambda *names: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _dmesg_line(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    return f"[{event['time_ns'] / 1e9:12.6f}] {event['event']}"


def mount_host(kernel: Kernel, folder: Path) -> None:
    """Mount a host directory read-only at /host."""
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a directory of the host")
    kernel.vfs.mount("/host", HostFs(str(folder)))


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


def parse_sysctl_file(path: Path) -> dict[str, str]:
    """Return the settings of a file in sysctl.conf's format.

    One NAME=VALUE a line; # and ; begin comments; a slash may stand for the dot. What cannot be set
    is left out where a - stands before the name.
    """
    result, may_fail = {}, set()
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
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
    with Kernel(ram="4M") as probe:
        return {
            name: value
            for name, value in settings.items()
            if name not in may_fail or sysctl_complaint(probe, name, value) is None
        }


def sysctl_name(name: str) -> str:
    """Return a sysctl's name with dots, from either spelling."""
    return name.strip().replace("/", ".")


def existing(name: str) -> Path:
    """Return the path of a host file that can be read, or raise UsageError."""
    path = Path(name).expanduser()
    if os.path.isdir(path):
        raise UsageError(f"'{name}' is a directory; name a file")
    if not os.path.exists(path):
        raise UsageError(f"there is no file '{name}'{_neighbour(path)}")
    if not os.access(path, os.R_OK):
        raise UsageError(f"'{name}' cannot be read: permission denied")
    return path


def regular(name: str) -> Path:
    """Return the path of a host file that can be read and has an end, or raise UsageError."""
    path = existing(name)
    if not path.is_file():
        raise UsageError(f"'{name}' is no regular file: its length must be known")
    return path


def writable(name: str) -> Path:
    """Return the path of a host file that can be written, or raise UsageError.

    For results of long work: the complaint comes before it.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        raise UsageError(f"'{name}' is a directory; name a file")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"'{name}' cannot be written")
    return path


def _neighbour(path: Path) -> str:
    if not os.path.isdir(path.parent):
        return f": the folder '{path.parent}' does not exist"
    guesses = nearest(path.name, (entry.name for entry in path.parent.iterdir()))
    return f"; did you mean '{path.parent / guesses[0]}'?" if guesses else ""


def boot_complaint(error: Exception, sysctls: Mapping[str, int | str]) -> str:
    """Return why a machine did not boot, as a sentence that names a wrong sysctl."""
    with Kernel(ram="4M") as probe:
        for name, value in sysctls.items():
            complaint = sysctl_complaint(probe, name, str(value))
            if complaint:
                return complaint
    return f"the machine does not boot: {error}"


def sysctl_complaint(kernel: Kernel, name: str, value: str) -> str | None:
    """Return why the sysctl cannot have the value, as a sentence, or None if it can."""
    entries = {entry.name: entry for entry in kernel.sysctl.entries()}
    if name not in entries:
        guesses = nearest(name, entries)
        hint = f"did you mean {guesses[0]}?" if guesses else "'pkern sysctl -a' lists them"
        return f"there is no sysctl '{name}'; {hint}"
    try:
        kernel.sysctl[name] = value
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return f"{name} cannot be '{value}' ({reason}): {entries[name].help}"
    return None


def show_failure(error: Exception) -> int:
    """Print the traceback of a program's exception, its own frames only; return 1.

    An exception from nowhere in a program is ours, and goes on.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_ours(frame.filename)]
    if not own and not isinstance(error, SyntaxError):
        raise error
    shown = ["Traceback (most recent call last):\n", *traceback.format_list(own)] if own else []
    shown += traceback.format_exception_only(error)
    print("".join(shown), end="", file=sys.stderr)
    return 1


def is_ours(filename: str) -> bool:
    """Tell whether a file of a traceback is the kernel's, not the program's."""
    parents = Path(filename).parents
    return filename.startswith("<frozen") or any(folder in parents for folder in OURS)
