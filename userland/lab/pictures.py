"""Pictures of the lab: what is drawn is a value; this module alone knows matplotlib.

Owns the look: axis labels with units, the legend beside the data, one colour for one design
wherever it appears. Every picture is an SVG file, the same at every run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

# One colour for one thing on all pages (Okabe and Ito's palette: distinct for everyone).
COLOURS = {
    "virtual_scan": "#999999",
    "pte_chain": "#0072b2",
    "objrmap": "#d55e00",
    "objrmap_tree": "#009e73",
    "special VMA (A)": "#cc79a7",
    "2.6's call (B)": "#0072b2",
    "one VMA a page (C)": "#e69f00",
    "2.6's call (B), virtual_scan": "#999999",
    "2.6's call (B), pte_chain": "#0072b2",
    "2.6's call (B), objrmap": "#d55e00",
    "2.6's call (B), objrmap_tree": "#009e73",
    "the host's emulation": "#56b4e9",
    "published": "#bbbbbb",
}
SPARE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999")
CELLS = ("#f2f2f2", "#009e73", "#d55e00", "#e69f00", "#0072b2")
MISSING = float("nan")  # a bar that is not there: nothing was measured or published
SIZE = (8.0, 4.2)


class NoPictures(RuntimeError):
    """matplotlib is not installed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one colour of bars: its name in the legend, and a value for each place.

    low, high: the ends of the spread, where a value is a median; empty for counts.
    """

    name: str
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars. scale: "linear" or "log"."""

    name: str
    title: str
    ylabel: str
    groups: Sequence[str]
    series: Sequence[Series]
    scale: str = "linear"


@dataclass(frozen=True, slots=True)
class Lines:
    """Curves over x. scales: "linear" or "log"."""

    name: str
    title: str
    xlabel: str
    ylabel: str
    x: Sequence[float]
    series: Sequence[Series]
    xscale: str = "linear"
    yscale: str = "linear"


@dataclass(frozen=True, slots=True)
class Strips:
    """Rows of coloured cells: what became of each page, row by row.

    cells: for each row one kind (an index of kinds) for each page.
    """

    name: str
    title: str
    xlabel: str
    rows: Sequence[str]
    kinds: Sequence[str]
    cells: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Text in cells that are green where good holds and orange where not."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[str]
    text: Sequence[Sequence[str]]
    kinds: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Panels:
    """Pictures side by side, one for each unit, with the legend of the last: same series in all."""

    name: str
    title: str
    panels: Sequence[Bars | Lines]


Picture = Bars | Lines | Strips | Matrix | Panels


def draw(picture: Picture, folder: Path) -> str:
    """Write the picture as NAME.svg into folder and return NAME.

    Errors: NoPictures.
    """
    plt = _pyplot()
    parts = picture.panels if isinstance(picture, Panels) else [picture]
    figure, all_axes = plt.subplots(
        1, len(parts), figsize=SIZE, layout="constrained", squeeze=False
    )
    for axes, part in zip(all_axes[0], parts, strict=True):
        _DRAWERS[type(part)](axes, part)
        axes.set_title(part.title, fontsize=11 if part is picture else 9, loc="left")
        if part is not parts[-1] and axes.get_legend() is not None:
            axes.get_legend().remove()
    if isinstance(picture, Panels):
        figure.suptitle(picture.title, fontsize=11, x=0.01, ha="left")
    figure.savefig(folder / f"{picture.name}.svg", metadata={"Date": None})
    plt.close(figure)
    return picture.name


def need_pictures() -> None:
    """Refuse at once what would end without its pictures. Errors: NoPictures."""
    _pyplot()


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise NoPictures(
            "pages have pictures, which need matplotlib: pip install '.[pictures]' in"
            " pkern's folder"
        ) from None
    # On an account's first time it says, in the middle of ours, that it gathers the fonts.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    matplotlib.use("agg")
    matplotlib.rcParams.update({"svg.hashsalt": "pkern", "font.size": 9, "axes.axisbelow": True})
    import matplotlib.pyplot as plt

    return plt


def _colour(name: str, place: int) -> str:
    return COLOURS.get(name, SPARE[place % len(SPARE)])


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5")


def _legend(axes: Any, handles: Any = None) -> None:
    extra = {} if handles is None else {"handles": handles}
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, **extra)


def _spread(series: Series) -> Any:
    if not series.low:
        return None
    below = [value - low for value, low in zip(series.values, series.low, strict=True)]
    above = [high - value for value, high in zip(series.values, series.high, strict=True)]
    return [below, above]


def _draw_bars(axes: Any, picture: Bars) -> None:
    _plain(axes)
    width = 0.8 / len(picture.series)
    for place, series in enumerate(picture.series):
        left = [group - 0.4 + width * (place + 0.5) for group in range(len(picture.groups))]
        bars = axes.bar(
            left,
            series.values,
            width * 0.94,
            yerr=_spread(series),
            capsize=2,
            label=series.name,
            color=_colour(series.name, place),
        )
        axes.bar_label(bars, [short(value) for value in series.values], padding=2, fontsize=8)
    axes.set_xticks(range(len(picture.groups)), picture.groups)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(picture.ylabel)
    axes.set_yscale("symlog" if picture.scale == "log" else "linear")
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    if len(picture.series) > 1:
        _legend(axes)


def _plain_decades(axes: Any) -> None:
    """Write the places between powers of ten as plain numbers, where there is room for them."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, value: float, position: int | None = None) -> str:
            return short(value) if super().__call__(value, position) else ""

    axes.yaxis.set_minor_formatter(Plain(labelOnlyBase=False, minor_thresholds=(1, 0.4)))


def _draw_lines(axes: Any, picture: Lines) -> None:
    _plain(axes)
    for place, series in enumerate(picture.series):
        colour = _colour(series.name, place)
        axes.plot(picture.x, series.values, "o-", markersize=3.5, label=series.name, color=colour)
        if series.low:
            axes.fill_between(picture.x, series.low, series.high, color=colour, alpha=0.15)
    axes.set(xscale=picture.xscale, yscale=picture.yscale)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: short(value))
    if picture.xscale == "log":
        axes.set_xticks(picture.x, [short(value) for value in picture.x], minor=False)
        axes.set_xticks([], minor=True)
    if picture.yscale == "log":
        _plain_decades(axes)
    axes.set_xlabel(picture.xlabel)
    axes.set_ylabel(picture.ylabel)
    if picture.yscale == "linear":
        axes.set_ylim(bottom=0)
    if len(picture.series) > 1:
        _legend(axes)


def _draw_strips(axes: Any, picture: Strips) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    shades = ListedColormap(CELLS[: len(picture.kinds)])
    top = len(picture.kinds) - 1
    axes.pcolormesh(
        picture.cells, cmap=shades, vmin=0, vmax=max(top, 1), edgecolors="white", linewidth=0.4
    )
    axes.invert_yaxis()
    axes.set_yticks([row + 0.5 for row in range(len(picture.rows))], picture.rows)
    axes.tick_params(length=0)
    axes.set_xlabel(picture.xlabel)
    axes.set_frame_on(False)
    _legend(
        axes,
        [Patch(color=CELLS[kind], label=label) for kind, label in enumerate(picture.kinds)],
    )


def _draw_matrix(axes: Any, picture: Matrix) -> None:
    from matplotlib.colors import ListedColormap

    pale = ListedColormap(["#fbe3d6", "#d9f0e8"])
    axes.pcolormesh(picture.kinds, cmap=pale, vmin=0, vmax=1, edgecolors="white", linewidth=3)
    for row, texts in enumerate(picture.text):
        for column, text in enumerate(texts):
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center")
    axes.invert_yaxis()
    axes.set_xticks([at + 0.5 for at in range(len(picture.columns))], picture.columns)
    axes.set_yticks([at + 0.5 for at in range(len(picture.rows))], picture.rows)
    axes.tick_params(length=0)
    axes.set_frame_on(False)


_DRAWERS: dict[type, Any] = {
    Bars: _draw_bars,
    Lines: _draw_lines,
    Strips: _draw_strips,
    Matrix: _draw_matrix,
}


def short(value: float) -> str:
    """Write a number in at most five characters or so: 0.35, 13.2, 1,143, 60.1k, 2.3M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (limit if unit != 'k' else 1e3):.3g}{unit}"
    if isnan(value):
        return ""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3g}"
