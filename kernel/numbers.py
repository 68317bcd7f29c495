"""Which texts are numbers: of ASCII's digits; and how many of a thing there are, in words.

Python takes those of every alphabet for digits, has digits that are no numbers, and takes numbers
with underscores in them; neither Linux nor who types a command means these.
"""

from __future__ import annotations

LONGEST = 40  # digits of what is meant for a number; Python refuses to read thousands
HEX = frozenset("0123456789abcdefABCDEF")


def is_decimal(text: str) -> bool:
    """Tell whether a text is one or more digits, and nothing else."""
    return text.isascii() and text.isdecimal()


def name_number(name: str) -> int:
    """Return the number that a name in /proc is; -1: it is none. Source: name_to_int() of 6.18."""
    return int(name) if is_decimal(name) and str(int(name)) == name else -1


def plain_number(text: str) -> int | None:
    """Return the number that a text is, in decimal or in hex with 0x; None: it is none."""
    if len(text) > LONGEST:
        return None
    if is_decimal(text) and (text == "0" or text[0] != "0"):  # 010: eight to who writes C
        return int(text)
    digits = text[2:]
    return int(digits, 16) if text[:2] in ("0x", "0X") and digits and set(digits) <= HEX else None


def counted(number: int, one: str, many: str = "") -> str:
    """Return how many there are of a thing: "1 run", "2 runs". many: where it is not one + "s"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
