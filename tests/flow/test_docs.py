"""The documentation agrees with the code."""

import doctest
import re
from pathlib import Path

import pytest

from pkern.userland.binding import CONSTANTS, handlers
from pkern.userland.cli.pages import call_examples, python_page, reference
from pkern.userland.program import Sys

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["sysctls.md", "syscalls.md", "python.md"])
def test_generated_pages_are_current(name):
    page = ROOT / "docs" / name
    assert page.read_text() == reference.pages()[name], "stale: run `make docs`"


def test_the_page_of_invariants_has_the_checker_s_numbers():
    head = (ROOT / "kernel/core/check.c").read_text().split("*/")[0]
    coded = re.findall(r"^ \*   (I\d+) ", head, re.MULTILINE)
    written = re.findall(r"^\| (I\d+) ", (ROOT / "docs/invariants.md").read_text(), re.MULTILINE)
    assert coded, "check.c lists its invariants in its head"
    assert written == coded


def test_only_the_core_s_door_imports_the_compiled_module():
    importers = [
        path.relative_to(ROOT).as_posix()
        for room in ("kernel", "syscalls", "userland")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"(from|import) pkern\.kernel\.core\._core", path.read_text())
    ]
    assert importers == ["kernel/core/__init__.py"]


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    page = (ROOT / "docs/dependencies.md").read_text()
    for requirement in [*project["dependencies"], *extras]:
        assert re.search(r"[<>=]=", requirement), f"{requirement} has no lower bound"
        name = re.split(r"[<>=]", requirement)[0]
        assert name in page or name == "setuptools", f"{name} is not in docs/dependencies.md"


def test_who_lacks_an_extra_is_told_to_install_it_from_the_folder():
    """The package is on no index, so its name installs nothing."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "userland").rglob("*.py")]
    told = [
        words for text in texts for words in re.findall(r"pip install '([^']*)'", text.read_text())
    ]
    assert set(told) >= {".[emulators]", ".[pictures]", ".[fuse]"}
    assert set(told) <= {f".[{extra}]" for extra in project["optional-dependencies"]}


def test_the_story_of_the_python_page_is_true():
    options = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testfile(str(python_page.STORY), module_relative=False, optionflags=options)
    assert result.attempted > 40
    assert not result.failed


def test_every_call_has_a_chapter_and_an_example():
    forms = handlers()
    assert {python_page.chapter_of(form) for form in forms.values()} == set(python_page.CHAPTERS)
    own = set(python_page.OWN_EXAMPLES)
    assert sorted(forms) == sorted(call_examples.EXAMPLES), "userland/cli/pages/call_examples.py"
    methods = {name for name in vars(Sys) if not name.startswith("_")} - set(forms) - set(CONSTANTS)
    assert methods - {"follow", "inject", "watch", "ended"} <= own  # what pkern run itself uses


def test_the_index_lists_every_page():
    docs = ROOT / "docs"
    listed = set(re.findall(r"\]\(([^)]+)\)", (docs / "index.md").read_text()))
    pages = {page.name for page in docs.glob("*.md")} - {"index.md"}
    folders = {f"{folder.name}/" for folder in docs.iterdir() if any(folder.glob("*.md"))}
    assert {name for name in listed if "/" not in name} == pages
    assert {f"{name.split('/')[0]}/" for name in listed if "/" in name} == folders


def test_links_and_decisions_that_pages_name_are_there():
    decisions = {path.name[:4]: path for path in (ROOT / "docs/decisions").glob("*.md")}
    assert len(decisions) == len(list((ROOT / "docs/decisions").glob("*.md"))), "one number each"
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
        for number in re.findall(r"[Dd]ecisions?[ /](\d{4})", text):
            assert number in decisions, f"{page.relative_to(ROOT)}: decision {number}"


def test_the_map_of_the_design_names_what_is_there_and_leaves_out_no_folder():
    page = (ROOT / "docs/design.md").read_text()
    floors = [ROOT / name for name in ("pkern", "kernel", "syscalls", "userland")]
    found = [path for floor in floors for path in floor.rglob("*")]
    files = {f"/{path.relative_to(ROOT)}" for path in found if path.suffix in {".py", ".c", ".h"}}
    named = re.findall(r"[\w/]+\.(?:py|c|h)\b", page.replace("\\_", "_"))
    assert len(named) > 40
    for name in named:
        assert any(file.endswith(f"/{name}") for file in files), name
    for folder in {path.parent for path in found if path.suffix in {".py", ".c"}}:
        assert re.search(rf"\b{folder.name}/", page), folder.relative_to(ROOT)


def test_the_letter_is_introduced_before_it_is_spoken_of():
    readme = (ROOT / "README.md").read_text()
    before, heading, after = readme.partition("## The letter\n")
    assert heading
    assert "letter" not in before
    paragraph = after.split("\n##")[0]
    for name in ("Andrea Arcangeli", "Andrew Morton", "2003", "https://lore.kernel.org/r/"):
        assert name in paragraph


def test_nothing_tells_a_user_to_fetch_pkern_from_the_index():
    """It is not there: what is installed is a folder of the user's, or a wheel."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    sources = [
        path for room in ("kernel", "userland", "pkern") for path in (ROOT / room).rglob("*.py")
    ]
    named = [
        (path, target)
        for path in (*pages, *sources)
        for target in re.findall(r"pip\"? install ((?:-q )?['\"]?[^`'\";\s]*)", path.read_text())
    ]
    assert len(named) > 4
    for path, target in named:
        assert "pkern" not in target, f"{path.relative_to(ROOT)}: pip install {target}"


def test_programs_that_pages_name_are_compiled():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {
        name for page in pages for name in re.findall(r"build/programs/(\w+)", page.read_text())
    }
    assert "bench" in named
    for name in named:
        assert (ROOT / f"userland/programs/{name}.c").exists(), name
