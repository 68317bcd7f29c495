"""What one sysctl is: its name, range and help, and where its value lives."""

from __future__ import annotations

from pkern.kernel.values import NamedTuple

Value = int | str
MAX = (1 << 63) - 1


class Entry(NamedTuple):
    """One parameter. low..high: an integer's range; a string entry's values stand in choices.

    owner: who holds the value, as Kernel.owner names the machine's parts; "table": nobody else.
    field: the owner's, where it is not the last part of the name.
    """

    name: str
    help: str
    owner: str = "tunables"
    field: str = ""
    default: Value | None = None
    low: int = 0
    high: int = MAX
    read_only: str = ""  # why it cannot be written; empty: it can
    choices: tuple[str, ...] = ()
    longest: int = 64  # characters of a text
    columns: int = 1  # more: a row of integers; those that a write leaves out stay
    clears: str = ""  # the other of a pair: a write to this one makes it 0
    stays: int = 0  # 1: once it is the highest, it is so for ever
    command: int = 0  # 1: its file holds nothing, and takes whatever is written
    mode: int = 0  # of its file, where it is not that of who may write

    @property
    def kind(self) -> str:
        """'int' or 'str'."""
        return "str" if isinstance(self.default, str) else "int"

    @property
    def is_numbers(self) -> bool:
        """Whether it is a number or a row of them, and no text."""
        return self.kind == "int" or self.columns > 1

    @property
    def where(self) -> str:
        """The field or attribute that holds the value."""
        return self.field or self.name.rsplit(".", 1)[1]

    @property
    def range(self) -> str:
        """The allowed values, for people."""
        if self.choices:
            return ", ".join(self.choices)
        if self.columns > 1:
            return f"{self.columns} integers"
        if self.kind == "str":
            return "text"
        return f"{self.low}..{self.high}" if self.high < MAX else f"{self.low}.."

    @property
    def takes(self) -> str:
        """What may be written, for people."""
        return f"nobody writes it: {self.read_only}" if self.read_only else f"it takes {self.range}"
