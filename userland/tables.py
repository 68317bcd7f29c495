"""Tables on the terminal: with rich where it is installed, else plain columns.

Owns nothing but layout. Used by the command line, the console and the story.
"""

import os
import sys
from collections.abc import Iterable, Sequence

Row = Sequence[str]
FRAME = 3  # columns that rich puts around a cell
LEAST_TEXT = 30  # of the last column, whose text may be folded


def print_table(title: str, headers: Row, rows: Iterable[Row]) -> None:
    """Print rows under headers; colours only on a terminal that has rich, and room for them."""
    rows = [list(row) for row in rows]
    if sys.stdout.isatty() and _has_room(headers, rows) and _print_rich(title, headers, rows):
        return
    print(plain_table(title, headers, rows))


def _has_room(headers: Row, rows: Sequence[Row]) -> bool:
    """Tell whether the terminal shows all columns but the last without folding them."""
    columns = zip(*([headers, *rows]), strict=True)
    widths = [max(map(len, column)) for column in columns]
    needed = sum(width + FRAME for width in widths[:-1]) + min(widths[-1], LEAST_TEXT) + FRAME
    return needed < os.get_terminal_size(sys.stdout.fileno()).columns


def plain_table(title: str, headers: Row, rows: Iterable[Row]) -> str:
    """Return the table as text in columns two blanks apart."""
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    text = [_plain_line(line, widths) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(([title] if title else []) + text)


def markdown_table(headers: Row, rows: Iterable[Row]) -> str:
    """Return the table in Markdown, without padding."""
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _plain_line(cells: Row, widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _print_rich(title: str, headers: Row, rows: Iterable[Row]) -> bool:
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        return False
    table = Table(title=title or None, title_justify="left")
    for header in headers[:-1]:
        table.add_column(header, no_wrap=True)
    table.add_column(headers[-1], overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
    return True


def tell(lines: Iterable[str]) -> None:
    """Print lines at once; characters that the terminal's encoding lacks are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "\n".join(lines).encode(encoding, "backslashreplace").decode(encoding)
    print(text, flush=True)


def clear_progress() -> None:
    """Take the line of show_progress away."""
    if sys.stderr.isatty():
        print("\r" + " " * 79, end="\r", file=sys.stderr, flush=True)


def show_progress(done: int, total: int, name: str = "") -> None:
    """Show how far a long command is, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{done} of {total} {name:60}", end="\r", file=sys.stderr, flush=True)
