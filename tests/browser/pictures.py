"""`make pictures`: those of docs/look-inside.md and doors.md, from pages of `--view` in a browser.

What is on them is the machine's, the same on every host; the letters are of its fonts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.browser.chromium import chromium, go, opened

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures"
NAMED = 'data.events.{find}((event) => TEXTS[event[4]] === "pkern:{name}")'
# A page that both kinds of window show.
PAGE = "[...pkern.state.frames].find(([, f]) => f[FRAME.pins] && f[FRAME.mapcount])[0]"
UNFOLD = """for (const one of document.querySelectorAll("#tree details")) one.open = true;"""
LEVELS = 5  # with the address space


class Picture(NamedTuple):
    """A command of pkern's that writes a page; the moment that is shown, and how high that is."""

    name: str
    command: tuple[str, ...]
    moment: str
    height: int


ALL = (
    Picture(
        "letter",
        ("run", "--ram", "1M", "--sysctl", "vm.nonlinear=1", "examples/letter.py"),
        f"{NAMED.format(find='findIndex', name='truncate')} - 1",
        1360,
    ),
    Picture(
        "story",
        ("story", "LICENSE"),
        NAMED.format(find="findLastIndex", name="remap_file_pages"),
        1500,
    ),
)


def take(browser: Any, picture: Picture, page: Path) -> Path:
    """Make a picture; return where it is."""
    command, *words = picture.command
    subprocess.run(
        [sys.executable, "-m", "pkern", command, "--view", page, *words],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    browser.set_window_size(1280, picture.height)
    opened(browser, page)
    go(browser, picture.moment)
    browser.execute_script(f"pkern.choose({PAGE})")
    for _ in range(LEVELS):
        browser.execute_script(UNFOLD)
        time.sleep(0.2)  # a level is made when it is opened
    path = PICTURES / f"{picture.name}.png"
    browser.save_screenshot(str(path))
    return path


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder, "profile")) as browser:
        for picture in ALL:
            print(take(browser, picture, Path(folder, f"{picture.name}.html")))


if __name__ == "__main__":
    main()
