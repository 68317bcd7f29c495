"""The letter's story and `pkern bochs`: EPERM, the fallback, the gate, equal sums."""

import zlib

import pytest

from pkern.userland.cli.main import main
from pkern.userland.cli.study.story import shortened
from pkern.userland.engine import engine_library

CONTENT = bytes(range(256)) * 160 + b"and an odd end"


@pytest.fixture
def real_file(tmp_path):
    path = tmp_path / "some.data"
    path.write_bytes(CONTENT)
    return path


def test_the_story_tells_all_of_it(real_file, capsys):
    assert main(["story", str(real_file)]) == 0
    out = capsys.readouterr().out
    crc = f"{zlib.crc32(CONTENT):08x}"
    assert "EPERM" in out
    assert "EACCES" in out
    assert out.count(f"the guest says {crc}; zlib says the same") == 2
    (modes,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["mode"]]
    assert modes[1] != modes[2]


def test_without_an_emulator_no_story_begins(monkeypatch, capsys):
    monkeypatch.setattr("sys.path", [])
    engine_library.cache_clear()
    assert main(["story", __file__]) == 2
    told = capsys.readouterr()
    assert (told.out, "pip install" in told.err) == ("", True)


@pytest.mark.parametrize("gate", ["0", "1"])
def test_bochs_prints_the_checked_sum(real_file, capsys, gate):
    assert main(["bochs", "--file", str(real_file), "--sysctl", f"vm.nonlinear={gate}"]) == 0
    out = capsys.readouterr().out
    assert f"{zlib.crc32(CONTENT):08x} (equal)" in out
    assert ("EPERM" in out) == (gate == "0")


def test_bochs_with_too_little_ram_says_how_much_it_needs(real_file, capsys):
    status = main(["bochs", "--file", str(real_file), "--ram", "256K"])
    captured = capsys.readouterr()
    assert status == 1
    assert "--ram" in captured.err


def test_bochs_without_its_file(capsys, tmp_path):
    assert main(["bochs", "--file", str(tmp_path / "none")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_long_maps_are_shortened():
    text = shortened("\n".join(str(n) for n in range(100)))
    assert "... 90 more lines ..." in text
    assert len(text.splitlines()) == 11
