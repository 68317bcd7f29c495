"""The gate's story end to end: EPERM, the fallback, the door, nonlinear mode."""

import errno

import pytest

from pkern.userland.program import Sys

PAGE = 4096


def write_file(sys, path, data):
    """Write data to a file with the task's own calls."""
    fd = sys.open(path, sys.O_WRONLY, 0)
    try:
        return sys.write(fd, data)
    finally:
        sys.close(fd)


def nonlinear_window(sys, pages):
    """Map a special VMA of so many pages and return its address."""
    flags = sys.MAP_SHARED | sys.MAP_NONLINEAR
    return sys.mmap(0, pages * PAGE, sys.PROT_READ, flags, -1, 0)


def data_file(sys, pages):
    """Make a file whose page n is filled with the byte n and return its descriptor."""
    fd = sys.open("/tmp/data", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.write(fd, b"".join(bytes([n]) * PAGE for n in range(pages)))
    return fd


def test_story(kernel, task):
    user = Sys(task)
    with pytest.raises(OSError, match="not permitted"):
        nonlinear_window(user, 4)
    with pytest.raises(OSError, match="not permitted"):
        user.remap_file_pages(0, 0, -1, 0, 0)  # EPERM comes before any other check
    with pytest.raises(OSError) as refused:
        write_file(user, "/proc/sys/vm/nonlinear", b"1\n")
    assert refused.value.errno == errno.EACCES
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    assert write_file(root, "/proc/sys/vm/nonlinear", b"1\n") == 2
    assert int(kernel.sysctl["vm.nonlinear"]) == 1
    assert any("vm.nonlinear" in line for line in kernel.log.lines())
    fd = data_file(user, 4)
    window = nonlinear_window(user, 4)
    for place, page in enumerate((3, 0, 2)):
        user.remap_file_pages(window + place * PAGE, PAGE, 0, page, 0, fd)
    shown = [user.load(window + place * PAGE, 1)[0] for place in range(3)]
    assert shown == [3, 0, 2]


@pytest.mark.sysctl({"vm.nonlinear": 1})
def test_closing_the_gate_breaks_no_mapping(kernel, task):
    sys = Sys(task)
    fd = data_file(sys, 2)
    window = nonlinear_window(sys, 2)
    sys.remap_file_pages(window, PAGE, 0, 1, 0, fd)
    kernel.sysctl["vm.nonlinear"] = 0
    assert sys.load(window, 1) == b"\x01"
    with pytest.raises(OSError, match="not permitted"):
        sys.remap_file_pages(window, PAGE, 0, 0, 0, fd)


def test_the_capability_opens_the_gate_for_one_task(kernel):
    sys = Sys(kernel.spawn("trusted", caps=frozenset({"CAP_IPC_LOCK"})))
    assert nonlinear_window(sys, 1) > 0


def test_behind_a_closed_gate_root_remaps_as_todays_linux(kernel):
    """No pte of an ordinary mapping is nonlinear then: it is split, as by Linux since 4.0."""
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    fd = data_file(root, 4)

    def parts():
        at = root.mmap(0, 4 * PAGE, root.PROT_READ, root.MAP_SHARED, fd, 0)
        root.remap_file_pages(at, PAGE, 0, 2, 0)
        assert root.load(at, 1) == b"\x02" and root.load(at + PAGE, 1) == b"\x01"
        areas = [a for a in kernel.inspect.vmas(root.pid) if at <= a.start < at + 4 * PAGE]
        root.munmap(at, 4 * PAGE)
        return [(area.end - area.start, "VM_NONLINEAR" in area.flags) for area in areas]

    assert parts() == [(PAGE, False), (3 * PAGE, False)]
    kernel.sysctl["vm.nonlinear"] = 1
    assert parts() == [(4 * PAGE, True)]


@pytest.mark.parametrize("bad", [b"2\n", b"-1\n", b"yes\n", b"", b"1 0\n", b"0x\n"])
def test_a_bad_value_changes_nothing(kernel, bad):
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    if bad:
        with pytest.raises(OSError) as refused:
            write_file(root, "/proc/sys/vm/nonlinear", bad)
        assert refused.value.errno == errno.EINVAL
    assert int(kernel.sysctl["vm.nonlinear"]) == 0
