"""What is built is one package: source archive, wheel and an installation hold pkern and no more.

The wheel is made offline from the source archive, so both are proved; a project that has folders
of its own called kernel, syscalls and userland uses the plugin from it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from pkern import __version__

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
FLOORS = ("kernel", "syscalls", "userland")
BUILD = "from setuptools import build_meta; build_meta.build_{}({!r})"  # as pip and build call it

PROJECT = {
    "kernel/__init__.py": "NAME = 'the project\\'s own kernel'\n",
    "userland/__init__.py": "",
    "syscalls.py": "raise ImportError('nobody asked for this')\n",
    "test_own.py": """\
import kernel as own
import pkern
import pytest


def test_two_kernels(pkern_machine, pkern_user):
    assert own.NAME == "the project's own kernel"
    addr = pkern_user.mmap(0, 4096, pkern_user.PROT_READ, 0x22)
    assert pkern_user.load(addr, 1) == b"\\0"
    assert isinstance(pkern_machine, pkern.Kernel)


@pytest.mark.pkern_sysctl({"vm.nonlinear": 1})
def test_a_marker(pkern_machine):
    assert pkern_machine.sysctl["vm.nonlinear"] == 1


def test_where_it_comes_from():
    print("pkern is", pkern.__file__)
""",
    "short/conftest.py": 'pytest_plugins = ["pkern.fixtures"]\n',
    "short/test_short.py": """\
def test_short_names(machine, user, root, program):
    assert (user.getuid(), root.getuid()) == (1000, 0)
""",
}


def run(*command: str, cwd: Path, **env: str) -> str:
    """Run a command and return what it prints; fail with all of it."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the wheel and its installation: one process makes it for a test run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # which this run's processes share
    with (base / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "wheel").exists():
            dist = tmp_path_factory.mktemp("dist")
            build(tmp_path_factory.mktemp("tree"), dist)
            dist.replace(base / "wheel")  # whole, or a failure of whoever asks
    return base / "wheel"


def build(tree: Path, dist: Path) -> None:
    """Build the source archive of a copy of the tree, the wheel from that; install it in site."""
    ignored = shutil.ignore_patterns("*.so", "*.o", "__pycache__", "_core.c")
    for name in (*FLOORS, "pkern"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in SOURCES:
        shutil.copy(ROOT / name, tree / name)
    run(sys.executable, "-c", BUILD.format("sdist", str(dist)), cwd=tree)
    (archive,) = dist.glob("*.tar.gz")
    shutil.unpack_archive(archive, dist)
    unpacked = dist / archive.name.removesuffix(".tar.gz")
    run(
        sys.executable, "-c", BUILD.format("wheel", str(dist)), cwd=unpacked, CFLAGS="-O0 -g0"
    )  # fmt: skip
    (wheel,) = dist.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--no-deps", "--no-index"]
    run(*pip, "--target", str(dist / "site"), str(wheel), cwd=dist)


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """Return the wheel's file."""
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def site(built: Path) -> Path:
    """Return the folder of its own that the wheel is installed in."""
    return built / "site"


def isolated(site: Path) -> dict[str, str]:
    """Return the environment in which the installation is found, and the tree's is not.

    Without the module site (-S) no .pth file is read, so an editable installation is not seen;
    the libraries are, by their folder's name.
    """
    return {"PYTHONPATH": os.pathsep.join((str(site), sysconfig.get_paths()["purelib"]))}


def test_the_wheel_holds_one_package_and_all_of_its_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"pkern", f"pkern-{__version__}.dist-info"}
    tree = [
        f"{folder}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder in ("pkern", *FLOORS)
        for file in (ROOT / folder).rglob("*")
        if file.suffix in {".py", ".pyi", ".h", ".c", ".S", ".typed", ".bin", ".md"}
        and ((file.parent / "__init__.py").exists() or file.parent.name == "programs")
        and file.name != "_core.c"
    ]
    expected = {name if name.startswith("pkern/") else f"pkern/{name}" for name in tree}
    assert expected - set(names) == set()
    assert any(
        name.startswith("pkern/kernel/core/_core.") and name.endswith(".so") for name in names
    )


def test_a_project_with_a_kernel_of_its_own_uses_the_plugin(site: Path, tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    python = [sys.executable, "-S", "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    text = run(*python, "test_own.py", cwd=tmp_path, **isolated(site))
    assert "3 passed" in text
    assert f"pkern is {site}" in text
    assert "1 passed" in run(*python, cwd=tmp_path / "short", **isolated(site))


def test_the_installed_command_runs_a_program(site: Path, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text("def main(sys):\n    print(hex(sys.mmap(0, 1, 1, 0x22)))\n")
    python = [sys.executable, "-S", "-m", "pkern"]
    text = run(*python, "run", "prog.py", cwd=tmp_path, **isolated(site))
    assert text.startswith("0x7fff")
    assert (site / "bin" / "pkern").is_file()


def test_top_level_names_are_not_taken(site: Path, tmp_path: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {FLOORS!r} if u.find_spec(n)])"
    assert run(sys.executable, "-S", "-c", code, cwd=tmp_path, **isolated(site)).strip() == "[]"


def test_the_editable_installation_leads_to_the_tree_and_takes_no_other_name(
    tmp_path: Path,
) -> None:
    code = (
        "import importlib.util as u, pkern.kernel, pkern.syscalls, pkern.userland as userland\n"
        "print(pkern.__file__, pkern.kernel.__file__, pkern.syscalls.__file__, userland.__file__)\n"
        f"print([name for name in {FLOORS!r} if u.find_spec(name)])\n"
    )
    (tmp_path / "pkern").mkdir()  # what a clone is called, seen from the folder that it lies in
    shown = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH="").splitlines()
    folders = ("pkern", *FLOORS)
    assert shown[0].split() == [str(ROOT / folder / "__init__.py") for folder in folders]
    assert shown[1] == "[]"
