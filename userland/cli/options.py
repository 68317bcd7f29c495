"""The command line's shared ground: its grammar, the options of a machine, and the user's mistakes.

Owns the boot options' declaration (boot.py reads them), and `UsageError`, which every command
raises for a mistake of the user; main() prints it as one sentence and exits with 2.
Imports nothing that costs time, argparse neither: every command pays for it.
"""

from __future__ import annotations

import os
from errno import EACCES
from stat import S_ISCHR

from pkern.kernel import BLOCK_NS, CALL_NS, DEFAULT_RAM
from pkern.kernel.arguments import nearest
from pkern.kernel.numbers import is_decimal
from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

AMPLE = "ample"
NO_UID = (1 << 32) - 1  # (uid_t)-1
MOST, MOST_DIGITS = (1 << 64) - 1, 20  # of a number
REMAINDER = "..."  # argparse's word for all that is left
RMAPS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")


class UsageError(Exception):
    """The user asked for something that cannot be; the text says what to do.

    status: what pkern ends with.
    """

    def __init__(self, text: str, status: int = 2) -> None:
        super().__init__(text)
        self.status = status


def _mistaken(text: str) -> Exception:
    """Return what tells the parser that a word is not what its argument takes."""
    from argparse import ArgumentTypeError

    return ArgumentTypeError(text)


def some_path(text: str) -> str:
    """Return the path that an argument names: an empty one is a variable that is not set."""
    if not text:
        raise _mistaken("a path, not ''")
    return text


def user_id(text: str) -> int:
    """Return the uid that an argument names."""
    if not is_decimal(text) or int(text) >= NO_UID:
        raise _mistaken(f"a user is a number from 0 to {NO_UID - 1}, not '{text}'")
    return int(text)


# Options whose values are parameters of Kernel under the same names; --sysctl is of its own kind.
BOOT = ("ram", "seed", "rmap", "nrpte", "swap", "nodes", "cpu", "call_ns", "block_ns")


def boot_values(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of a machine say, by parameter of Kernel."""
    return {name: getattr(options, name) for name in BOOT}


def add_command(parser: argparse.ArgumentParser) -> None:
    """Add PROGRAM and its arguments, behind all options: options.command."""
    # One list: argparse takes a -- away from behind a positional of its own.
    parser.add_argument(
        "command",
        nargs=REMAINDER,
        metavar="PROGRAM ...",
        help="FILE.py or an x86-64 ELF program, and its arguments",
    )
    set_usage(parser, "PROGRAM [ARGUMENT ...]")


def set_usage(parser: argparse.ArgumentParser, operands: str = "") -> None:
    """Have the usage name what stands behind the options, which are too many to be listed there."""
    parser.usage = f"{parser.prog} [OPTION ...] {operands}".rstrip()


def add_machine_options(parser: argparse.ArgumentParser, ram: str = DEFAULT_RAM) -> None:
    """Add the options of a command that boots a machine.

    ram: what --ram is if it is not given; AMPLE leaves the choice to the command.
    """
    group = parser.add_argument_group("the machine")
    group.add_argument("--ram", default=ram, metavar="SIZE", help=f"RAM, as 16M or 1G ({ram})")
    _add_sysctls(group)
    _add_memory(group)
    group.add_argument(
        "--cpu",
        default="",
        metavar="FEATURES",
        help="what the processor has beyond the common ones: pku (nothing)",
    )
    _add_costs(group)
    group.add_argument("--seed", type=int, default=0, metavar="N", help="boot seed (0)")
    group.add_argument(
        "--host",
        type=some_path,
        metavar="DIR",
        help="show this host directory, read only, under /host",
    )


def _add_sysctls(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sysctl",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a sysctl at boot, as vm.nonlinear=1; may be repeated",
    )
    group.add_argument(
        "--sysctl-file",
        type=some_path,
        metavar="FILE",
        help="set those of a file in sysctl.conf's format first",
    )


def _add_memory(group: argparse._ArgumentGroup) -> None:
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
    group.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="nodes of memory, 1..8 (1)"
    )


def _add_costs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--call-ns",
        type=int,
        default=CALL_NS,
        metavar="NS",
        help=f"the virtual time that a system call takes ({CALL_NS})",
    )
    group.add_argument(
        "--block-ns",
        type=int,
        default=BLOCK_NS,
        metavar="NS",
        help=f"the same of a block of machine code ({BLOCK_NS})",
    )


def add_mount(where: argparse._ActionsContainer) -> None:
    """Add the option that shows a machine's files on the host: shared.py mounts them."""
    where.add_argument(
        "--mount", metavar="DIR", help="show its files there on the host while it runs (FUSE)"
    )


def host_path(name: str) -> str:
    """Return a path of the host without ~ and what leads nowhere: // and /./ ."""
    path = os.path.expanduser(name)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" * path.startswith("/") + "/".join(parts) or "."


def existing(name: str) -> str:
    """Return the path of a host file that can be read, or raise UsageError."""
    path = host_path(name)
    if not name:
        raise UsageError("there is no file ''")
    if os.path.isdir(path):
        raise UsageError(f"'{name}' is a directory; name a file")
    if not os.path.exists(path):
        raise UsageError(f"there is no file '{name}'{_neighbour(path)}")
    if not os.access(path, os.R_OK):
        raise UsageError(f"'{name}' cannot be read: permission denied")
    return path


def current_directory() -> str:
    """Return the host's current directory. Errors: UsageError (it has been removed)."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current directory has been removed: go to another one") from None


def contents(name: str) -> bytes:
    """Return what a host file holds, to its end, or raise UsageError."""
    path = existing(name)
    if S_ISCHR(os.stat(path).st_mode) and name != os.devnull:
        raise UsageError(f"'{name}' is a device, which may have no end; name a file")
    with open(path, "rb") as file:
        return file.read()


def natural(text: str) -> int:
    """Return a number from 0 to MOST that an argument names."""
    return _number(text, 0)


def positive(text: str) -> int:
    """Return a number from 1 to MOST that an argument names."""
    return _number(text, 1)


def _number(text: str, least: int) -> int:
    if is_decimal(text) and (len(text) > MOST_DIGITS or int(text) > MOST):
        raise _mistaken("no number above 2**64 - 1")
    if not is_decimal(text) or int(text) < least:
        raise _mistaken(f"a number from {least}, not '{text}'")
    return int(text)


def regular(name: str) -> str:
    """Return the path of a host file that can be read and has an end, or raise UsageError."""
    path = existing(name)
    if not os.path.isfile(path):
        raise UsageError(f"'{name}' is no regular file: its length must be known")
    return path


def writable(name: str) -> str:
    """Return the path of a host file that can be written, or raise UsageError.

    For results of long work: the complaint comes before it.
    """
    path = host_path(name)
    if not name:
        raise UsageError("'' is no name of a file")
    if os.path.isdir(path):
        raise UsageError(f"'{name}' is a directory; name a file")
    try:
        _open_to_write(os.path.realpath(path))
    except OSError as error:
        why = _no_folder(path) or f": {error.strerror}"
        raise UsageError(f"'{name}' cannot be written{why}") from error
    return path


def _open_to_write(path: str) -> None:
    """Open a file for writing and leave all as it was. Errors: OSError.

    Rights alone do not tell: root has them in /proc too, and a name may be too long.
    """
    if not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)
    elif os.path.isfile(path):
        os.close(os.open(path, os.O_WRONLY))
    elif not os.access(path, os.W_OK):  # a pipe would wait for who reads it
        raise OSError(EACCES, os.strerror(EACCES))


def write_result(name: str, text: str) -> None:
    """Write a result to a host file that writable() has found to be one.

    Errors: UsageError, with status 1: it cannot be written any more.
    """
    with (
        naming(name),
        open(host_path(name), "w", encoding="utf-8", errors="surrogateescape") as file,
    ):
        file.write(text)


def check_writable(*names: str | None) -> None:
    """Refuse host files that cannot be written; None: that one is not asked for.

    Errors: UsageError.
    """
    for name in names:
        if name is not None:
            writable(name)


class naming:
    """A context that names the file where the host does not let us write it.

    Errors: UsageError, with status 1.
    """

    def __init__(self, name: str | os.PathLike[str]) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, where: object) -> None:
        if isinstance(error, OSError):
            why = f"'{self._name}' cannot be written: {error.strerror}"
            raise UsageError(why, 1) from error


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."


def _no_folder(path: str) -> str:
    folder = _folder(path)
    return "" if os.path.isdir(folder) else f": the folder '{folder}' does not exist"


def _neighbour(path: str) -> str:
    folder, name = _folder(path), os.path.basename(path)
    if not os.path.isdir(folder):
        return _no_folder(path)
    guesses = nearest(name, os.listdir(folder))
    return f"; did you mean '{host_path(os.path.join(folder, guesses[0]))}'?" if guesses else ""
