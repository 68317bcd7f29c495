"""What the runs of both kinds of program share: the host's files and strace's output."""

from __future__ import annotations

import sys

from pkern.kernel.lean import contextmanager, nullcontext
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterator
from pkern.userland.cli.options import UsageError, host_path, naming, writable, write_result
from pkern.userland.cli.program.run import command_line, injector, style, traced
from pkern.userland.given import Layer, NotGiven

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

    from pkern.kernel.machine import Kernel
    from pkern.syscalls.strace.tracer import Tracer
    from pkern.userland.injection import Injector


def show_host_root(kernel: Kernel, root: str | None, layer: Layer = Layer.READ_ONLY) -> None:
    """Show what --root names, if it does, as /. Errors: UsageError."""
    if root is None:
        return
    from pkern.userland.shown import show_root

    try:
        show_root(kernel, root, layer)
    except NotGiven as error:
        raise UsageError(str(error)) from error


def layer_of(options: argparse.Namespace) -> Layer:
    """Return whether --root may be written."""
    return Layer.OVERLAY if options.overlay else Layer.READ_ONLY


def show_binds(kernel: Kernel, texts: list[str]) -> None:
    """Show the host directories that --bind names. Errors: UsageError."""
    if not texts:
        return
    from pkern.userland.shown import bind, read_bind

    try:
        for text in texts:
            bind(kernel, read_bind(text))
    except NotGiven as error:
        raise UsageError(f"--bind: {error}") from error


@contextmanager
def mounting(kernel: Kernel, options: argparse.Namespace) -> Iterator[None]:
    """Show the machine's files on the host meanwhile, if --mount says so. Errors: UsageError."""
    if options.mount is None:
        yield
        return
    from pkern.userland.mount.mounted import NotMounted, mounted

    try:
        with mounted(kernel, options.mount):
            yield
    except NotMounted as error:
        raise UsageError(f"--mount: {error}") from error


def injecting(tracer: Tracer | None, options: argparse.Namespace) -> Injector | None:
    """Return what changes calls, if an option asks for that; a tracer marks those calls."""
    made = injector(options)
    if made is not None and tracer is not None:
        tracer.mark = made.mark
    return made


@contextmanager
def tracing(options: argparse.Namespace) -> Iterator[Tracer | None]:
    """Give the tracer that the options ask for; its summary comes when it is no longer used."""
    if not traced(options):
        yield None
        return
    from contextlib import ExitStack

    from pkern.syscalls.strace.tracer import Output, Tracer

    with ExitStack() as stack:
        emit: Callable[[str], None] = to_stderr
        if options.output:
            emit = stack.enter_context(_to_file(options.output))
        tracer = Tracer(emit, style(options))
        try:
            yield tracer
        finally:
            if tracer.style.output is Output.SUMMARY:
                emit("\n".join(tracer.summary()))


def check_view(file: str | None) -> None:
    """Refuse a page that could not be made, or written, before the run. Errors: UsageError."""
    if file is None:
        return
    from pkern.userland.view.page import NoPictures, need_bokeh

    writable(file)
    try:
        need_bokeh()
    except NoPictures as error:
        raise UsageError(str(error)) from error


@contextmanager
def viewing(kernel: Kernel, file: str | None, title: str, most: int = 0) -> Iterator[None]:
    """Record what happens, and write its page to a file of the host; None: nothing is recorded.

    most: events that are shown; 0: as many as the recorder takes. Errors: UsageError that names the
    file.
    """
    if file is None:
        yield
        return
    from pkern.userland.view.page import page
    from pkern.userland.view.recorder import MOST_MOMENTS, Recorder
    from pkern.userland.view.story import page_data

    with Recorder(kernel, most or MOST_MOMENTS) as recorder:
        yield
    if recorder.recording is not None:
        text = page(page_data(recorder.recording, kernel.inspect), title)
        write_result(file, text)


def viewing_run(kernel: Kernel, options: argparse.Namespace) -> AbstractContextManager[None]:
    """Record a run for the page that --view asks for, if it does. Errors: UsageError."""
    if options.view is None:
        return nullcontext()
    return viewing(kernel, options.view, command_line(options), options.view_events)


def walled(kernel: Kernel, nanoseconds: int | None) -> AbstractContextManager[None]:
    """Let the host's clock end what runs (TimeIsUp) after so long; None: never."""
    if nanoseconds is None:
        return nullcontext()
    from pkern.userland.wall import wall_limit

    return wall_limit(kernel, nanoseconds)


def show_stacks(kernel: Kernel, tracer: Tracer | None, options: argparse.Namespace) -> None:
    """Let a tracer show the stack of each call, if -k asks for that."""
    if options.stacks and tracer is not None:
        from pkern.userland.symbols import Symbols

        tracer.stack = Symbols(kernel).lines


@contextmanager
def recording(kernel: Kernel, options: argparse.Namespace) -> Iterator[None]:
    """Write the events that the options ask for while a program runs. Errors: UsageError."""
    if not options.events and not options.globs:
        yield
        return
    if options.twice:
        raise UsageError("--events, -E and --twice: two runs are compared call by call")
    from contextlib import ExitStack

    from pkern.userland.events.recording import UnknownEvent, recording

    with ExitStack() as stack:
        emit: Callable[[str], None] = to_stderr
        if options.events:
            emit = stack.enter_context(_to_file(options.events))
        try:
            stack.enter_context(recording(kernel, options.events or "", options.globs, emit))
        except UnknownEvent as error:
            raise UsageError(f"-E: {error}") from error
        yield


def to_stderr(line: str) -> None:
    """Write a line in one piece, whenever Ctrl-C comes."""
    sys.stderr.write(line + "\n")


@contextmanager
def _to_file(name: str) -> Iterator[Callable[[str], None]]:
    """Give what writes a line to a file of the host. Errors: UsageError that names it."""

    def emit(line: str) -> None:
        with naming(name):
            file.write(line + "\n")

    with naming(name):
        file = open(host_path(name), "w", encoding="utf-8")  # noqa: SIM115
    try:
        yield emit
    finally:
        with naming(name):
            file.close()
