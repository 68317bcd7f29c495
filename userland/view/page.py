"""The page of a run: figures made with Bokeh, the run's data, and page.js, which moves them.

Owns the layout. Everything is in one file; nothing is fetched. Bokeh (extra `view`) is imported
here, by who wants a page.
"""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from importlib.resources import files
from typing import Any

from pkern.kernel.inspect.moment import COUNTERS
from pkern.kernel.numbers import counted

BUCKETS, POINTS = 300, 500  # of the time line; of a curve
LEFT, RIGHT = 70, 20  # pixels beside a time line
MOST_COLUMNS, MOST_ROWS, MOST_CELLS, LIST_COLUMNS = 256, 60, 256, 1024
CURVES = ("nr_anon", "nr_file", "nr_shmem", "nr_pagetable", "nr_slab", "nr_swap_used", "nr_special")
PALETTE = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000",
    "#e08214",
)  # fmt: skip
SWAP_HEADING = "<h2>Swap: a square for each slot; the triangle is where one is looked for</h2>"
WINDOW_HEADING = "<h2>Nonlinear windows: which page of which file stands where</h2>"


class NoPictures(ImportError):
    """Bokeh is missing; the text says how it is installed."""


def need_bokeh() -> None:
    """Say so before a long run where there can be no page. Errors: NoPictures."""
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise NoPictures("--view needs Bokeh: pip install '.[view]' in pkern's folder") from error


def page(data: dict[str, Any], title: str) -> str:
    """Return the page as HTML. data: story.page_data's. Errors: NoPictures."""
    need_bokeh()
    from bokeh.embed import components
    from bokeh.resources import Resources

    figures = _figures(data)
    script, divs = components({name: figure for name, figure in figures.items() if figure})
    parts = dict.fromkeys(figures, "") | divs
    for name, heading in (("swap", SWAP_HEADING), ("windows", WINDOW_HEADING)):
        parts[name] = heading * bool(figures[name]) + parts[name]
    # A program's own texts are in it: none of them may end the script, or begin another.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    resources = Resources(mode="inline", components=["bokeh"])
    parts |= {
        "title": html.escape(title),
        "about": html.escape(_about(data)),
        "bokeh": resources.render_js(),
        "data": text,
        "script": script,
        "page": files("pkern.userland.view").joinpath("page.js").read_text(),
    }
    found = files("pkern.userland.view").joinpath("page.html").read_text().split("{{")
    return found[0] + "".join(parts[name] + rest for name, rest in map(_split, found[1:]))


def _split(part: str) -> tuple[str, str]:
    name, _, rest = part.partition("}}")
    return name, rest


def _about(data: dict[str, Any]) -> str:
    machine = data["machine"]
    late = f"; {data['left_out']} later ones are not shown" if data["left_out"] else ""
    return (
        f"{machine['pages']} page frames, reverse map {machine['rmap']}, "
        f"{counted(len(data['events']), 'event')}{late}; "
        "frames that were never in use are not drawn"
    )


def _figures(data: dict[str, Any]) -> dict[str, Any]:
    """Return the figures by name, and complete the data that the script needs of them."""
    replay = _Replay(data)
    pages = data["frames"] = replay.frames  # those behind were never in use
    columns = min(MOST_COLUMNS, max(16, 1 << math.ceil(math.log2(math.sqrt(pages)))))
    data |= {
        "columns": columns,
        "left": LEFT,
        "right": RIGHT,
        "palette": PALETTE,
        "rows": min(MOST_ROWS, replay.most_rows),
        "cells": MOST_CELLS,
        "begin": _busiest(replay.curves),
    }
    slots = sum(replay.slots.values())
    return {
        "timeline": _timeline(data),
        "counters": _counters(data, replay.curves),
        "frames": _image("frames", columns, -(-pages // columns), 520),
        "rmap": _rmap(),
        "lists": _lists(data["names"]["lists"], max(16, min(LIST_COLUMNS, replay.longest))),
        "swap": _swap(columns, -(-slots // columns)) if slots else None,
        "areas": _areas(data["rows"], min(MOST_CELLS, replay.widest)),
        "windows": _windows() if replay.has_windows else None,
    }


def _busiest(curves: dict[str, list[int]]) -> int:
    """Return the moment that is shown first: where the most is mapped, nonlinear windows first."""
    moments = zip(curves["nr_special"], curves["nr_anon"], curves["nr_file"], strict=True)
    loads = [(special, anon + file) for special, anon, file in moments]
    return loads.index(max(loads)) if loads else 0


class _Replay:
    """What must be known of all moments before the first is drawn: curves and sizes."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._records = data["records"]
        self._kinds = data["names"]["vma_kinds"]
        self.curves: dict[str, list[int]] = {name: [] for name in CURVES}
        self.slots: dict[int, int] = {}
        self.most_rows, self.longest, self.has_windows = 1, 0, False
        self.frames, self.widest = 1, 16
        self._now = dict.fromkeys(COUNTERS, 0)
        self._lengths: Counter[int] = Counter()
        self._areas: Counter[int] = Counter()
        for changes in data["moments"]:
            for change in changes:
                self._read(change)
            for name, curve in self.curves.items():
                curve.append(self._now[name])
            self.longest = max(self.longest, *self._lengths.values(), 0)
            rows = sum(1 + nr for nr in self._areas.values() if nr)
            self.most_rows = max(self.most_rows, rows)

    def _read(self, change: list[int]) -> None:
        kind = change[0]
        if kind == self._records["counter"]:
            self._now[COUNTERS[change[1]]] = change[2]
        elif kind == self._records["frame"]:
            self.frames = max(self.frames, change[1] + 1)
        elif kind == self._records["list"]:
            self._lengths[change[1]] += len(change) - 4 - change[3]
        elif kind == self._records["area"]:
            self.slots[change[1]] = max(self.slots.get(change[1], 0), change[2])
        elif kind == self._records["vmas"]:
            kinds = [self._kinds[code] for code in change[6::9]]
            self._areas[change[1]] += len(kinds) - change[3]
            ends, starts = change[5::9], change[4::9]
            pages = (end - start >> 12 for start, end in zip(starts, ends, strict=True))
            self.widest = max(self.widest, *pages, 0)
            self.has_windows |= any(kind in ("special", "nonlinear") for kind in kinds)


# ---- figures ----


def _figure(**settings: Any) -> Any:
    from bokeh.plotting import figure

    made = figure(**{"toolbar_location": None, "output_backend": "canvas", "tools": ""} | settings)
    made.grid.visible = False
    made.outline_line_color = "#cccccc"
    return made


def _source(name: str, *columns: str) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource({column: [] for column in columns}, name=name)


def _timed(nr: int, height: int, most: int) -> Any:
    made = _figure(
        height=height, sizing_mode="stretch_width", x_range=(-0.5, nr - 0.5),
        y_range=(0, 1.05 * max(most, 1)),
        min_border_left=LEFT, min_border_right=RIGHT,
    )  # fmt: skip
    made.yaxis.ticker.desired_num_ticks = 3
    return made


def _timeline(data: dict[str, Any]) -> Any:
    nr = max(len(data["events"]), 1)
    width = max(1, -(-nr // BUCKETS))
    systems = [data["texts"][event[4]].partition(":")[0] for event in data["events"]]
    names = [name for name, _ in Counter(systems).most_common(len(PALETTE))]
    counts = {name: [0] * (-(-nr // width)) for name in names}
    for place, system in enumerate(systems):
        if system in counts:
            counts[system][place // width] += 1
    most = max(map(sum, zip(*counts.values(), strict=True)), default=1)
    made = _timed(nr, 120, most)
    middles = [(place + 0.5) * width - 0.5 for place in range(-(-nr // width))]
    made.vbar_stack(
        names,
        x="x",
        width=width,
        color=list(PALETTE[: len(names)]),
        source={"x": middles, **counts},
        legend_label=names,
    )
    _beside(made)
    return made


def _counters(data: dict[str, Any], curves: dict[str, list[int]]) -> Any:
    nr = max(len(data["events"]), 1)
    every = max(1, nr // POINTS)
    made = _timed(nr, 140, max(max(curve, default=1) for curve in curves.values()))
    for (name, curve), color in zip(curves.items(), PALETTE, strict=False):
        made.step(
            list(range(0, nr, every)), curve[::every], mode="after", color=color, line_width=1.5,
            legend_label=name,
        )  # fmt: skip
    _beside(made)
    return made


def _beside(made: Any) -> None:
    """Put a small legend above the plot."""
    legend = made.legend[0]
    made.add_layout(legend, "above")
    legend.border_line_color = None
    legend.orientation = "horizontal"
    legend.label_text_font_size = "8pt"
    legend.padding = legend.margin = legend.spacing = 3
    legend.glyph_height = legend.glyph_width = 10
    legend.label_height = 10


def _image(name: str, columns: int, rows: int, width: int) -> Any:
    """Return a figure of columns x rows squares, whose source is an image."""
    import numpy
    from bokeh.models import ColumnDataSource

    image = numpy.zeros((rows, columns), dtype=numpy.uint32)
    image.fill(0xFFF2F2F2)
    source = ColumnDataSource(
        {"image": [image], "x": [0], "y": [0], "dw": [columns], "dh": [rows]}, name=name
    )
    made = _figure(
        width=width, height=max(60, width * rows // columns), name=f"{name}_figure",
        x_range=(0, columns), y_range=(rows, 0), tools="pan,wheel_zoom,reset,tap",
        active_scroll=None, min_border=0,
    )  # fmt: skip
    made.axis.visible = False
    made.image_rgba("image", "x", "y", "dw", "dh", source=source)
    return made


def _lists(names: list[str], columns: int) -> Any:
    made = _image("lists", columns, len(names), 520)
    made.height = 120
    made.min_border_left = 100
    made.min_border_right = 80
    made.x_range.end = columns * 1.2
    made.yaxis.visible = True
    made.yaxis.ticker = [row + 0.5 for row in range(len(names))]
    made.yaxis.major_label_overrides = {row + 0.5: name for row, name in enumerate(names)}
    made.text(
        "x", "y", text="text", source=_source("list_ends", "x", "y", "text"),
        text_font_size="9px", text_baseline="middle", x_offset=4,
    )  # fmt: skip
    return made


def _swap(columns: int, rows: int) -> Any:
    made = _image("swap", columns, rows, 520)
    made.scatter(
        "x", "y", source=_source("swap_next", "x", "y"), marker="triangle", size=9, color="#000000"
    )
    return made


def _areas(rows: int, cells: int) -> Any:
    made = _figure(
        height=30 + 16 * rows, sizing_mode="stretch_width", x_range=(-0.55 * cells, 1.02 * cells),
        y_range=(rows, 0), min_border=0, tools="pan,xwheel_zoom,reset,hover",
        tooltips="@name", active_scroll=None,
    )  # fmt: skip
    made.axis.visible = False
    boxes = made.quad(
        "left", "right", "top", "bottom", color="color", alpha=0.35,
        source=_source("areas", "left", "right", "top", "bottom", "color", "name"),
    )  # fmt: skip
    made.hover.renderers = [boxes]
    made.quad(
        "left", "right", "top", "bottom", color="color", line_color=None,
        source=_source("cells", "left", "right", "top", "bottom", "color"),
    )  # fmt: skip
    made.text(
        "x", "y", text="text", source=_source("area_names", "x", "y", "text"),
        text_font_size="10px", text_baseline="middle", text_align="right",
    )  # fmt: skip
    made.scatter(
        "x", "y", source=_source("area_cursors", "x", "y"), marker="inverted_triangle", size=7,
        color="#000000",
    )  # fmt: skip
    return made


def _windows() -> Any:
    from bokeh.models import Range1d

    made = _figure(
        x_range=Range1d(start=0, end=1, name="windows_x"),
        y_range=Range1d(start=0, end=1, name="windows_y"),
        height=260, sizing_mode="stretch_width", tools="pan,wheel_zoom,reset,hover",
        tooltips="@name", active_scroll=None, name="windows_figure",
    )  # fmt: skip
    made.xaxis.axis_label = "page of the window"
    made.yaxis.axis_label = "page of the file"
    made.scatter(
        "x", "y", color="color", marker="square", size=4,
        source=_source("windows", "x", "y", "color", "name"),
    )  # fmt: skip
    return made


def _rmap() -> Any:
    from bokeh.models import Range1d
    from bokeh.models.annotations import Arrow, NormalHead

    colour: dict[str, Any] = {"line_color": "color"}  # the stubs of 3.9 call it otherwise
    lines = _source("rmap_lines", "x0", "y0", "x1", "y1", "color")
    made = _figure(
        height=240, width=520, x_range=(-0.1, 4.4), min_border=0,
        y_range=Range1d(start=1, end=0, name="rmap_range"), tools="pan,wheel_zoom,reset",
        active_scroll=None,
    )  # fmt: skip
    made.axis.visible = False
    made.add_layout(
        Arrow(
            end=NormalHead(size=7, fill_color="color", line_color="color"),
            x_start="x0", y_start="y0", x_end="x1", y_end="y1", source=lines, **colour,
        )
    )  # fmt: skip
    made.text(
        "x", "y", text="text", color="color", text_font_size="10px", text_baseline="middle",
        source=_source("rmap_texts", "x", "y", "text", "color"),
    )  # fmt: skip
    return made
