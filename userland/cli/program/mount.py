"""The command `pkern mount`: a machine that runs nothing, for what is done to its files."""

import argparse

from pkern.userland.cli.options import UsageError, add_machine_options, set_usage
from pkern.userland.cli.program.run import add_files, check_files

HELP = """\
DIR, a directory of the host, shows the files of a fresh machine: its root, /proc and /sys. Nothing
runs in it but an idle first task; `pkern run --mount DIR PROGRAM`, `pkern shell --mount DIR` and
`pkern console --mount DIR` show the files of a machine at work. It lives until Ctrl-C, or until DIR
is unmounted. Needs FUSE and the extra `fuse`; docs/doors.md tells more.

examples:
  pkern mount /mnt/machine &
  cat /mnt/machine/proc/meminfo
  echo 1 > /mnt/machine/proc/sys/vm/nonlinear
  umount /mnt/machine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern mount`."""
    parser.add_argument("directory", metavar="DIR", help="where on the host its files are shown")
    add_files(parser)
    set_usage(parser, "DIR")
    add_machine_options(parser)


def run(options: argparse.Namespace) -> int:
    """Show the files of a machine until the user ends it."""
    from pkern.kernel.wait import outside
    from pkern.userland.cli.boot import boot
    from pkern.userland.cli.program.shared import layer_of, show_binds, show_host_root
    from pkern.userland.mount.mounted import NotMounted, mounted

    check_files(options)
    with boot(options) as kernel:
        show_host_root(kernel, options.root, layer_of(options))
        show_binds(kernel, options.bind)
        kernel.spawn("init", uid=0, gid=0)
        try:
            with mounted(kernel, options.directory) as gone, outside(kernel.visits):
                print(f"the machine's files are in {options.directory}; Ctrl-C ends it", flush=True)
                gone.wait()
        except NotMounted as error:
            raise UsageError(str(error)) from error
        except KeyboardInterrupt:
            print()
    return 0
