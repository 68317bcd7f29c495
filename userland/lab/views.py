"""Pages that show an experiment's machine, event by event: what `--view` of the lab writes."""

from __future__ import annotations

from pathlib import Path

from pkern.userland.lab.experiment import Experiment, Scale
from pkern.userland.lab.machines import looking
from pkern.userland.view.page import need_bokeh


def write_view(chosen: Experiment, folder: Path) -> str:
    """Run an experiment again, tiny, and write the page of its first machine; return its name.

    "": it has no machine in this process. Errors: pkern.userland.view.page.NoPictures.
    """
    need_bokeh()
    with looking(f"{chosen.title} (tiny)") as view:
        chosen.program(Scale.TINY)
    if not view.text:
        return ""
    name = f"{chosen.name}.html"
    (folder / name).write_text(view.text, encoding="utf-8")
    return name
