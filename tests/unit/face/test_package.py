"""What `import pkern` offers: the names of its list, each brought in at its first use."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pkern
from pkern.kernel import core


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted({*pkern._HOMES, "__version__"}) == sorted(pkern.__all__)
    for name in pkern.__all__:
        assert name in dir(pkern)
        assert getattr(pkern, name) is getattr(pkern, name)


def test_editors_and_type_checkers_read_the_same_names() -> None:
    """They run nothing: the stub has each name, from the module that it comes from."""
    stub = ast.parse(Path(pkern.__file__).with_suffix(".pyi").read_text())
    found = {}
    for node in stub.body:
        match node:
            case ast.ImportFrom(module=module, names=[alias]):
                found[alias.asname] = module, alias.name
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=other)):
                found[name] = found.pop(other)
    assert found == pkern._HOMES


def test_the_errors_are_the_ones_that_the_kernel_raises(kernel: pkern.Kernel) -> None:
    sys = pkern.Sys(kernel.spawn())
    with pytest.raises(pkern.SyscallError):
        sys.close(99)
    with pytest.raises(pkern.SegmentationFault):
        sys.load(0, 1)


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Kernle'"):
        pkern.Kernle  # noqa: B018


OTHER_CORE = """
import sys, types
core = types.ModuleType("pkern.kernel.core._core")
core.ffi, core.lib = object(), types.SimpleNamespace(PKERN_INTERFACE=1)
sys.modules[core.__name__] = core
from pkern.__main__ import main
sys.exit(main())
"""


def test_a_core_of_other_sources_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("def main(sys): pass")
    command = [sys.executable, "-c", OTHER_CORE, "run", str(tmp_path / "nothing.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pkern: the C core of pkern was built from another version")
    assert "make build" in done.stderr and done.stderr.count("\n") == 1


def test_an_archive_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Python runs zipapps, but no host loads a shared library out of one."""
    app, room = tmp_path / "app.pyz", Path(core.__file__).parent
    with zipfile.ZipFile(app, "w") as archive:
        archive.writestr("__main__.py", "import pkern.kernel.core\n")
        for place in ("pkern", "pkern/kernel"):
            archive.writestr(f"{place}/__init__.py", "")
        for name in ("__init__.py", "interface.py"):
            archive.write(room / name, f"pkern/kernel/core/{name}")
    command = [sys.executable, "-S", str(app)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: pkern cannot run out of an archive, as the host loads")


def test_importing_pkern_brings_in_nothing_of_it() -> None:
    code = "import sys; import pkern; print(*[m for m in sys.modules if m.startswith('pkern')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["pkern"]
