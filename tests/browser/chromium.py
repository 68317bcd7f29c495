"""Debian's Chromium, driven without a screen: for tests of pages and for the pictures in docs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1400,1500",
)  # fmt: skip
READY = "return document.body.dataset.ready"
WALL = 60.0  # seconds that a page has to be drawn


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Give a driver of a browser; profile: a folder of its own."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    driver.set_script_timeout(300)
    try:
        yield driver
    finally:
        driver.quit()


def opened(browser: Any, path: Path) -> Any:
    """Open a page of `--view`, and wait until it is drawn."""
    browser.get(path.as_uri())
    until = time.monotonic() + WALL
    while browser.execute_script(READY) != "1":
        assert time.monotonic() < until, browser.get_log("browser")
        time.sleep(0.05)
    return browser


def go(browser: Any, moment: str | int) -> None:
    """Move the slider as a hand does; moment: a number, or an expression of the page's."""
    browser.execute_async_script(
        f"""const slider = document.getElementById("slider"), done = arguments[0];
        slider.value = {moment};
        slider.dispatchEvent(new Event("input"));
        requestAnimationFrame(() => requestAnimationFrame(() => done(1)));"""
    )
