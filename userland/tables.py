"""Tables on the terminal: with rich where it is installed, else plain columns.

Owns nothing but layout. Used by the command line, the console and the story.
"""

import sys
from collections.abc import Iterable, Sequence

Row = Sequence[str]


def print_table(title: str, headers: Row, rows: Iterable[Row]) -> None:
    """Print rows under headers; colours only on a terminal that has rich."""
    rows = [list(row) for row in rows]
    if sys.stdout.isatty() and _print_rich(title, headers, rows):
        return
    print(plain_table(title, headers, rows))


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
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
    return True


def show_progress(done: int, total: int, name: str = "") -> None:
    """Show how far a long command is, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{done} of {total} {name:60}", end="\r", file=sys.stderr, flush=True)
