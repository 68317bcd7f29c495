"""On which machines a suite runs: every combination of the values that were asked for.

    rmap=all   vm.nonlinear=0,1   ram=8M,64M      5 x 2 x 2 machines

Owns the reading of such an axis. A name with a dot is a sysctl, any other a parameter of Kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.machine import Kernel, parse_size
from pkern.kernel.mm.memory import RMAP_DESIGNS
from pkern.userland.complaints import boot_complaint

# Parameter of Kernel -> what its text is read as.
PARAMETERS: dict[str, type] = {
    "ram": str,
    "rmap": str,
    "swap": str,
    "cpu": str,
    "hostname": str,
    "seed": int,
    "nrpte": int,
    "nodes": int,
    "poison": int,
    "call_ns": int,
    "block_ns": int,
}
ALL = {"rmap": tuple(RMAP_DESIGNS)}


class BadAxis(ValueError):
    """An axis that cannot be read; the text says why, as a sentence."""


class Axis(NamedTuple):
    """One name and its values, as text."""

    name: str
    values: tuple[str, ...]


class Row(NamedTuple):
    """One machine. label: "" where there is only one; boot: parameters of Kernel."""

    label: str
    boot: Mapping[str, Any]


def read_axis(text: str) -> Axis:
    """Return the axis of NAME=VALUE,VALUE or NAME=all. Errors: BadAxis."""
    name, equals, listed = text.partition("=")
    name = name.strip()
    if not equals or not listed.strip():
        raise BadAxis(f"an axis is NAME=VALUE,VALUE, as vm.nonlinear=0,1, not '{text}'")
    if "." not in name and name not in PARAMETERS:
        known = ", ".join(PARAMETERS)
        hint = did_you_mean(name, PARAMETERS)
        raise BadAxis(
            f"'{name}' is neither a sysctl, whose name has a dot, nor one of {known}{hint}"
        )
    if listed == "all":
        if name not in ALL:
            raise BadAxis(f"'{text}': only {', '.join(ALL)} has a list of all its values")
        return Axis(name, ALL[name])
    values = tuple(value.strip() for value in listed.split(","))
    if not all(values):
        raise BadAxis(f"'{text}' has an empty value")
    if len({*map(_meant, values)}) < len(values):
        raise BadAxis(f"'{text}' has a value twice")
    return Axis(name, values)


def _meant(value: str) -> str | int:
    """Return what a value says: 8M and 8192K are one size."""
    try:
        return parse_size(value)
    except ValueError:
        return value


def rows(axes: Sequence[Axis], base: Mapping[str, Any]) -> list[Row]:
    """Return every machine: base's parameters, and one value of each axis. Errors: BadAxis."""
    if len({axis.name for axis in axes}) < len(axes):
        raise BadAxis("an axis stands there twice: write its values in one, between commas")
    return [
        _row(tuple(zip((axis.name for axis in axes), values, strict=True)), base)
        for values in product(*(axis.values for axis in axes))
    ]


def _row(chosen: Sequence[tuple[str, str]], base: Mapping[str, Any]) -> Row:
    boot = dict(base)
    boot["sysctl"] = dict(base.get("sysctl") or {})
    for name, value in chosen:
        if "." in name:
            boot["sysctl"][name] = value
        else:
            boot[name] = _read(name, value)
    return Row(",".join(f"{name}={value}" for name, value in chosen), boot)


def _read(name: str, text: str) -> Any:
    try:
        return PARAMETERS[name](text)
    except ValueError as error:
        raise BadAxis(f"{name} takes a number, not '{text}'") from error


def boot(row: Row) -> Kernel:
    """Return the machine of a row; the caller closes it. Errors: BadAxis."""
    try:
        return Kernel(**row.boot)
    except (KeyError, MemoryError, OSError, ValueError) as error:
        where = f"{row.label}: " if row.label else ""
        raise BadAxis(where + boot_complaint(error, row.boot)) from error
