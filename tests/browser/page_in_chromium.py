"""The page of `pkern run --view` in a real browser: `make browser`.

Not part of `make test`: it wants Debian's chromium and chromium-driver. Times are the page's own
processor time by the browser's count, so a busy host does not change what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys
from pkern.userland.view.page import page
from pkern.userland.view.recorder import MOST_MOMENTS, Recorder
from pkern.userland.view.story import page_data
from tests.browser.chromium import chromium, go, opened

PAGE = 4096
MOST_MS = 50  # of a step of the slider


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def written(kernel: Kernel, body: Callable[[], None], path: Path) -> Path:
    """Record body and write its page."""
    with Recorder(kernel) as recorder:
        body()
    assert recorder.recording is not None
    path.write_text(page(page_data(recorder.recording, kernel.inspect), "a <test>"))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the page of a run with a window, a fork and swap; and what was true at its end."""
    path, facts = tmp_path_factory.mktemp("page") / "small.html", dict[str, Any]()
    with Kernel(ram="1M", swap="1M", rmap="compare", sysctl={"vm.nonlinear": 1}) as kernel:
        sys = Sys(kernel.spawn("looked-at", uid=0))

        def body() -> None:
            fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o644)
            sys.ftruncate(fd, 16 * PAGE)
            window = sys.mmap(0, 16 * PAGE, 3, sys.MAP_SHARED, fd, 0)
            special = sys.mmap(0, PAGE, 1, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
            for nr in range(16):
                sys.store(window + nr * PAGE, b"x")
            sys.remap_file_pages(window, 4 * PAGE, 0, 8, 0)
            sys.remap_file_pages(special, PAGE, 0, 9, 0, fd)
            own = sys.mmap(0, 64 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
            for nr in range(64):
                sys.store(own + nr * PAGE, b"x")
            child = sys.fork()
            child.store(own, b"y")
            kernel.memory.reclaim(32)
            for one in (sys, child):
                one.load(window, 1)
            facts.update(window=window, own=own, pid=sys.pid, child=child.pid)

        written(kernel, body, path)
        facts["shared"] = kernel.inspect.walk(facts["own"] + 60 * PAGE, facts["pid"]).pfn
        facts["walk"] = kernel.inspect.walk(facts["window"], facts["pid"])
        facts["page"] = kernel.inspect.page(facts["walk"].pfn)
        facts["lists"] = {one.name: list(one.pfns) for one in kernel.inspect.lru().lists}
        facts["slots"] = [slot.slot for slot in kernel.inspect.swap().areas[0].slots]
        facts["frames"] = [
            pfn for pfn in range(256) if "free" not in kernel.inspect.page(pfn).flags
        ]
    return path, facts


LAST = "data.events.length - 1"


def test_the_page_fetches_nothing_and_says_nothing_on_the_console(browser: Any, small: Any) -> None:
    opened(browser, small[0])
    go(browser, 0)
    go(browser, LAST)
    fetched = "return performance.getEntriesByType('resource').map((e) => e.name)"
    assert browser.execute_script(fetched) == []
    bad = [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert bad == []
    assert browser.title == "a <test>"


def test_at_the_end_it_shows_the_machine_as_it_is(browser: Any, small: Any) -> None:
    facts = small[1]
    opened(browser, small[0])
    go(browser, LAST)
    state = "const s = pkern.state; "
    lists = browser.execute_script(state + "return s.lists")
    assert lists == list(facts["lists"].values())
    used = browser.execute_script(state + "return [...s.areas.get(0).used.keys()]")
    assert sorted(used) == facts["slots"]
    frames = browser.execute_script(
        state + "return [...s.frames].filter(([, f]) => !(f[2] & FLAG.free)).map(([pfn]) => pfn)"
    )
    assert sorted(frames) == facts["frames"]


def test_the_slider_goes_there_and_back(browser: Any, small: Any) -> None:
    opened(browser, small[0])
    told = """const s = pkern.state;
        return JSON.stringify([s.at, s.lists, [...s.frames].sort(), [...s.spaces].sort(),
            s.counters, [...s.tables].map(([p, t]) => [p, [...t.kinds], t.used]).sort()]);"""
    go(browser, 300)
    at_300 = browser.execute_script(told)
    shown = browser.find_element(By.ID, "event").text
    assert shown and "event 300 of" in shown
    go(browser, LAST)
    assert browser.execute_script(told) != at_300
    go(browser, 300)
    assert browser.execute_script(told) == at_300
    browser.find_element(By.ID, "forth").click()
    assert "event 301 of" in browser.find_element(By.ID, "event").text
    browser.find_element(By.ID, "back").click()
    browser.find_element(By.ID, "back").click()
    assert "event 299 of" in browser.find_element(By.ID, "event").text


def test_pointing_at_a_frame_shows_its_card_and_a_click_who_maps_it(
    browser: Any, small: Any
) -> None:
    facts = small[1]
    opened(browser, small[0])
    go(browser, LAST)
    pfn = facts["walk"].pfn
    x, y = browser.execute_script(
        f"""const view = Bokeh.index[Object.keys(Bokeh.index).find((key) =>
            Bokeh.index[key].model.name === "frames_figure")];
        const frame = view.frame, box = view.el.getBoundingClientRect();
        const column = {pfn} % data.columns, row = Math.floor({pfn} / data.columns);
        view.el.scrollIntoView({{block: "center"}});
        const now = view.el.getBoundingClientRect();
        return [now.left + frame.x_scale.compute(column + 0.5),
                now.top + frame.y_scale.compute(row + 0.5)];"""
    )
    mouse = ActionChains(browser)
    mouse.w3c_actions.pointer_action.move_to_location(int(x), int(y))
    mouse.perform()
    time.sleep(0.3)
    card = browser.find_element(By.ID, "card").text
    page = facts["page"]
    assert f"page {pfn} " in card and page.owner in card
    assert f"refcount {page.refcount}, mapcount {page.mapcount}, pins {page.pins}" in card
    click = ActionChains(browser)
    click.w3c_actions.pointer_action.move_to_location(int(x), int(y)).click()
    click.perform()
    time.sleep(0.5)
    assert browser.execute_script("return pkern.chosen") == pfn
    note = browser.find_element(By.ID, "rmap_note").text
    assert f"{page.mapcount} ptes found" in note


@pytest.mark.parametrize("design", ["objrmap_tree", "objrmap", "pte_chain", "virtual_scan"])
def test_the_arrows_lead_to_the_ptes_that_the_kernel_finds(
    browser: Any, small: Any, design: str
) -> None:
    facts = small[1]
    opened(browser, small[0])
    go(browser, LAST)
    browser.execute_script(
        f"""document.getElementById("design").value = "{design}";
        pkern.choose({facts["walk"].pfn});"""
    )
    found = browser.execute_script(
        f"return pkern.route({facts['walk'].pfn}, '{design}').known.map((one) => one.addr)"
    )
    asked = next(one for one in facts["page"].mappers if one.design == design)
    assert sorted(found) == sorted(mapper.addr for mapper in asked.found) != []
    texts = browser.execute_script("return pkern.model('rmap_texts').data.text")
    assert any(f"{facts['window']:x}" in text for text in texts)
    assert browser.execute_script("return pkern.model('rmap_lines').data.x0.length") >= len(found)


def test_the_tree_opens_level_by_level(browser: Any, small: Any) -> None:
    facts = small[1]
    opened(browser, small[0])
    go(browser, LAST)
    tree = browser.find_element(By.ID, "tree")
    for entry in facts["walk"].entries[:-1]:
        name = f"{entry.level}[{entry.index}]"
        if entry.level == "pgd":
            label = f"looked-at ({facts['pid']})"
            tree.find_element(By.XPATH, f".//summary[contains(., '{label}')]").click()
        found = tree.find_element(By.XPATH, f".//summary[contains(., '{name}')]")
        assert f"frame {entry.number}" in found.text and "PRESENT" in found.text
        found.click()
        time.sleep(0.1)
    last = facts["walk"].entries[-1]
    item = tree.find_element(By.XPATH, f".//li[@class='page'][contains(., 'pte[{last.index}] ')]")
    assert f"page {last.number}" in item.text
    item.click()
    assert browser.execute_script("return pkern.chosen") == last.number


def test_a_nonlinear_window_is_drawn_as_what_it_is(browser: Any, small: Any) -> None:
    facts = small[1]
    opened(browser, small[0])
    go(browser, LAST)
    names = browser.execute_script("return pkern.model('windows').data.name")
    assert f"{facts['window']:#x} shows page 8 of /tmp/f" in " | ".join(names)
    assert any("shows page 9 of /tmp/f" in name for name in names)


def test_processes_have_names(browser: Any, small: Any) -> None:
    facts = small[1]
    opened(browser, small[0])
    go(browser, LAST)
    texts = browser.execute_script("return pkern.model('area_names').data.text")
    for pid in (facts["pid"], facts["child"]):
        assert f"looked-at ({pid})" in texts


def test_a_step_is_smooth_with_ten_thousand_events_and_all_frames_in_use(
    browser: Any, tmp_path: Path
) -> None:
    with Kernel(ram="256M", swap="16M") as kernel:
        sys = Sys(kernel.spawn(uid=0))
        own = sys.mmap(0, 60_000 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        sys.touch(own, 60_000 * PAGE)

        def body() -> None:
            more = sys.mmap(0, 5000 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
            for nr in range(2400):
                sys.store(more + nr * PAGE, b"x")
            sys.madvise(own + 5 * PAGE, 2000 * PAGE, 21)  # MADV_PAGEOUT

        path = written(kernel, body, tmp_path / "large.html")
    opened(browser, path)
    assert browser.execute_script("return data.events.length") == MOST_MOMENTS
    assert browser.execute_script("return data.frames") > 62_000
    browser.execute_script("pkern.choose(400)")
    go(browser, 5000)
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    times = []
    for moment in (*range(5000, 5060), *range(9000, 9060), *range(2000, 1960, -1)):
        before = _busy(browser)
        go(browser, moment)
        times.append((_busy(browser) - before) * 1000)
    times = sorted(times[1:60] + times[61:120] + times[121:])  # not the leaps between
    print(f"a step: median {times[len(times) // 2]:.1f} ms, most {times[-1]:.1f} ms")
    assert times[len(times) * 95 // 100] < MOST_MS


def _busy(browser: Any) -> float:
    """Return the seconds of processor that the page's main thread has taken."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")
