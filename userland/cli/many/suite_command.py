"""A suite from the command line: what the options ask for, what is printed and written."""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

from pkern.kernel.branch import NotBranchable
from pkern.kernel.cpu.processor import ProcessorUnavailable
from pkern.userland.cli.boot import read_sysctls
from pkern.userland.cli.many.elsewhere import elsewhere
from pkern.userland.cli.options import (
    UsageError,
    boot_values,
    check_writable,
    existing,
    write_result,
)
from pkern.userland.cli.program.elf_command import here
from pkern.userland.cli.program.prepared import wall_seconds
from pkern.userland.cli.program.run import check_files, given_to
from pkern.userland.cli.program.shared import layer_of
from pkern.userland.engine import CpuUnavailable
from pkern.userland.given import NotGiven, nanoseconds_of
from pkern.userland.shown import read_bind
from pkern.userland.suite import reports
from pkern.userland.suite.cases import NoProgram, collect
from pkern.userland.suite.matrix import BadAxis, Row, read_axis, rows
from pkern.userland.suite.reports import Result, failed_before, read_expected, summary, told
from pkern.userland.suite.run import Suite, run_suite
from pkern.userland.suite.verdicts import BAD
from pkern.userland.suite.work import Files
from pkern.userland.tables import clear_progress, show_progress, tell

FORMATS = {"junit": reports.as_junit, "tap": reports.as_tap, "json": reports.as_json}


def run(options: argparse.Namespace) -> int:
    """Run the suite; 1 if something failed."""
    check_writable(*(getattr(options, name) for name in FORMATS))
    suite = _suite(options)
    started = perf_counter()
    results = _run(suite, options)
    if suite.only and not results:
        raise UsageError(f"nothing that failed by '{options.rerun_failed}' is in this suite")
    print(summary(results, perf_counter() - started), flush=True)
    _write(options, results)
    return 1 if any(result.verdict in BAD for result in results) else 0


def _run(suite: Suite, options: argparse.Namespace) -> list[Result]:
    results = []
    is_written = any(getattr(options, name) for name in FORMATS)
    try:
        with elsewhere(options) as cluster:
            for result in run_suite(suite, show_progress, cluster):
                _tell(result, options)
                # What passed keeps its output for a page only: long suites need no more memory.
                kept = is_written or result.verdict in BAD
                results.append(result if kept else result._replace(outcome=None))
    except (BadAxis, CpuUnavailable, NotBranchable, NotGiven, ProcessorUnavailable) as error:
        raise UsageError(str(error)) from error
    finally:
        clear_progress()
    return results


def _tell(result: Result, options: argparse.Namespace) -> None:
    if result.verdict in BAD or options.verbose:
        clear_progress()
        tell(told(result))


def _write(options: argparse.Namespace, results: list[Result]) -> None:
    for name, form in FORMATS.items():
        if file := getattr(options, name):
            # What programs print may be no text; these pages are.
            write_result(file, form(results).encode(errors="replace").decode())


# ---- reading the options ----


def _suite(options: argparse.Namespace) -> Suite:
    """Return what the options ask for. Errors: UsageError."""
    check_files(options)
    try:
        timeout = options.timeout
        return Suite(
            collect(options.programs),
            _rows(options),
            given_to(("program",), options, None)._replace(
                timeout_ns=None if timeout is None else nanoseconds_of("--timeout", timeout)
            ),
            Files(
                options.root,
                layer_of(options),
                tuple(read_bind(text) for text in options.bind),
                here(options.root),
            ),
            options.exit_status,
            options.cases,
            read_expected(Path(existing(options.expect))) if options.expect else (),
            failed_before(Path(existing(options.rerun_failed))) if options.rerun_failed else None,
            wall_seconds(options),
            options.jobs or None,
        )
    except (BadAxis, NoProgram, NotGiven, ValueError) as error:
        raise UsageError(str(error)) from error


def _rows(options: argparse.Namespace) -> list[Row]:
    base = boot_values(options)
    base["sysctl"] = read_sysctls(options.sysctl, options.sysctl_file)
    return rows([read_axis(text) for text in options.matrix], base)
