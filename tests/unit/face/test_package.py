"""What `import pkern` offers: the names of its list, each brought in at its first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pkern


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted({*pkern._HOMES, "__version__"}) == sorted(pkern.__all__)
    for name in pkern.__all__:
        assert name in dir(pkern)
        assert getattr(pkern, name) is getattr(pkern, name)


def test_the_errors_are_the_ones_that_the_kernel_raises(kernel: pkern.Kernel) -> None:
    sys = pkern.Sys(kernel.spawn())
    with pytest.raises(pkern.SyscallError):
        sys.close(99)
    with pytest.raises(pkern.SegmentationFault):
        sys.load(0, 1)


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Kernle'"):
        pkern.Kernle  # noqa: B018


def test_importing_pkern_brings_in_nothing_of_it() -> None:
    code = "import sys; import pkern; print(*[m for m in sys.modules if m.startswith('pkern')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["pkern"]
