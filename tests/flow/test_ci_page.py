"""docs/ci.md: its project is written into an empty directory and run as its CI would run it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pkern.userland import pytest_plugin

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci.md").read_text()
README = (ROOT / "README.md").read_text()


def files() -> dict[str, str]:
    """Return the page's files: each code block begins with a comment that names it."""
    blocks = re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)
    named = [(re.match(r"(?:/\*|#) (\S+)", block), block) for block in blocks]
    assert all(name for name, _ in named)
    return {name[1]: block for name, block in named if name}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_cook_book_s_project_passes(tmp_path):
    for name, text in files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environment = {**os.environ, "VENV": sys.prefix, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        ["sh", "ci.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (suite,) = ElementTree.parse(tmp_path / "build/report.xml").iter("testsuite")
    tests = re.findall(r"^def test_", files()["tests/test_tac.py"], re.MULTILINE)
    assert int(suite.attrib["tests"]) == len(tests)


@pytest.mark.parametrize("name", [".github/workflows/test.yml", ".gitlab-ci.yml"])
def test_ci_runs_the_one_script_and_keeps_its_report(name):
    text = files()[name]
    commands = re.findall(r"^ *- (?:run: )?(sh .*)$", text, re.MULTILINE)
    assert commands == ["sh ci.sh"]
    assert "build/report.xml" in text and "--junitxml=build/report.xml" in files()["ci.sh"]


def test_every_fixture_and_marker_is_on_the_page():
    fixtures = {name for name in vars(pytest_plugin) if name.startswith("pkern_")}
    markers = {f"pkern_{name}" for name in pytest_plugin.MARKERS}
    assert fixtures and fixtures | markers == set(
        re.findall(r"^\| `(pkern_\w+)", PAGE, re.MULTILINE)
    )


@pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs busybox-static")
def test_the_readme_s_tests_pass(pytester):
    section = README.partition("## In pytest")[2].partition("\n## ")[0]
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    pytester.makepyfile(program)
    pytester.runpytest_inprocess().assert_outcomes(
        passed=len(re.findall(r"^def test_", program, re.M))
    )
