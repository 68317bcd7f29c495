"""The one table of differences between this kernel and Linux that are allowed.

Owns the comparison of two outcomes.  Everything that compare() reports and no rows of
DIFFERENCES allow is a divergence, and a failure.  Called by run.py.
NEWER names what this kernel does as Linux 6.18 and older hosts do not: it is asked by the tests.
Names of anonymous memory (prctl PR_SET_VMA) are there whatever the host's kernel says, which may be
built without them (CONFIG_ANON_VMA_NAME; EINVAL then): no sequence asks for one.
"""

from __future__ import annotations

import enum
import errno
import functools
import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pkern.userland.conform.calls import PAGE, Area, Call, Kind, Layout, Outcome, result_text

MAX_LENGTH = 1 << 47  # user space; a longer range wraps or leaves it
F_ADD_SEALS, F_SEAL_EXEC = 1033, 0x20

Release = tuple[int, ...]  # of Linux: the numbers that tell its age, (6, 18, 44), or the first two


def release_of(text: str) -> Release:
    """Return the release in what uname gives, such as "6.18.44-anything". Errors: ValueError."""
    numbers = re.match(r"\d+\.\d+(\.\d+)?", text)
    if numbers is None:
        raise ValueError(f"{text!r} is no release of Linux")
    return tuple(map(int, numbers[0].split(".")))


@functools.cache
def host_release() -> Release:
    """Return the release of the host's kernel."""
    return release_of(os.uname().release)


@functools.cache
def lists_by_generation() -> bool:
    """Tell whether the host has its pages on lists by generation (MGLRU) now."""
    switch = Path("/sys/kernel/mm/lru_gen/enabled")
    return switch.exists() and int(switch.read_text(), 16) & 1 == 1


class Aspect(enum.Enum):
    """What two outcomes may differ in."""

    RESULT = "result"
    SIGNAL = "signal"
    DATA = "data"
    LAYOUT = "layout"
    STATE = "state"


class Then(enum.Enum):
    """What follows an allowed difference."""

    GO_ON = "go on"  # the state is the same: compare the next call
    STOP = "stop"  # the two have drifted apart: this sequence ends here


@dataclass(frozen=True, slots=True)
class Divergence:
    """One call whose outcomes differ: its place in the sequence and both outcomes.

    at: a place behind the last call where it is the state of a process, in the end. before: what
    the calls before it gave on the host.
    """

    aspect: Aspect
    calls: tuple[Call, ...]
    at: int
    host: Outcome
    model: Outcome
    before: tuple[Outcome, ...] = ()

    @property
    def call(self) -> Call:
        """The call that differs, or the last one."""
        return self.calls[min(self.at, len(self.calls) - 1)]

    @property
    def signature(self) -> tuple[str, ...]:
        """What a shrunk sequence must keep: the call's kind, the aspect, the two answers."""
        if self.aspect is Aspect.LAYOUT:
            return (self.call.kind.name, self.aspect.value)
        if self.aspect is Aspect.STATE:
            return (self.aspect.value, *sorted(self.fields))
        return (self.call.kind.name, self.aspect.value, _end(self.host), _end(self.model))

    @property
    def fields(self) -> frozenset[str]:
        """What of the state differs: "smaps Rss", "pagemap", "status VmRSS"."""
        lines = set(self.host.state) ^ set(self.model.state)
        return frozenset(_field(line) for line in lines)

    @property
    def parts(self) -> tuple[Divergence, ...]:
        """What rows allow one by one: of a state each field that differs, else this."""
        if self.aspect is not Aspect.STATE:
            return (self,)
        return tuple(
            replace(self, host=_of_field(self.host, field), model=_of_field(self.model, field))
            for field in sorted(self.fields)
        )

    def __str__(self) -> str:
        process = self.at - len(self.calls)
        if self.aspect is Aspect.STATE:
            lines = [f"in the end: the state of process {process} differs"]
            return "\n".join(lines + _only_lines(self.host.state, self.model.state))
        if process >= 0:
            lines = [f"in the end: the layout of process {process} differs"]
            return "\n".join(lines + _only_lines(self.host.layout, self.model.layout))
        lines = [f"call {self.at}: {self.call}: {self.aspect.value} differs"]
        lines += [f"  Linux: {self.host}", f"  pkern: {self.model}"]
        if self.aspect is Aspect.LAYOUT:
            lines += _only_lines(self.host.layout, self.model.layout)
        return "\n".join(lines)


def _end(outcome: Outcome) -> str:
    """Name how a call ended: a signal, an error, or done (whatever it gave)."""
    if outcome.signo:
        return f"signal {outcome.signo}/{outcome.code}"
    return result_text(outcome.value) if -4096 < outcome.value < 0 else "done"


def _field(line: str) -> str:
    """Name the field of a line of state, without addresses and sizes."""
    file, first, *rest = line.split(":")[0].split()
    return " ".join([file, *rest] if file == "smaps" else [file, first][: 1 + (file == "status")])


def _of_field(outcome: Outcome, field: str) -> Outcome:
    return replace(outcome, state=tuple(line for line in outcome.state if _field(line) == field))


def _only_lines(host: Sequence[object], model: Sequence[object]) -> list[str]:
    only_host = [f"  only on Linux: {line}" for line in host if line not in model]
    only_model = [f"  only on pkern: {line}" for line in model if line not in host]
    return only_host + only_model


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of the table: an aspect, the divergences it covers (of a state: fields), then, and why.

    before: it is allowed only beside a host that is older than this release.
    where: it is allowed only beside a host of which this is true.
    """

    aspect: Aspect
    allows: Callable[[Divergence], bool]
    then: Then
    reason: str
    before: Release | None = None
    where: Callable[[], bool] | None = None

    @property
    def of_any_host(self) -> bool:
        """Whether it is so beside every host, whatever its release and how it is set."""
        return self.before is None and self.where is None

    def is_beside(self, release: Release) -> bool:
        """Whether it is so beside this host, of a release."""
        older = self.before is None or release < self.before
        return older and (self.where is None or self.where())


def _tail_shows(divergence: Divergence) -> bool:
    """A load or pread sees zeroes where Linux shows what was stored beyond the file's end.

    Only after a store and a later growth of a file, and only where our byte is zero.
    """
    if divergence.call.kind not in (Kind.LOAD, Kind.PREAD):
        return False
    before = divergence.calls[: divergence.at]
    stored = next((at for at, call in enumerate(before) if call.kind is Kind.STORE), None)
    if stored is None:
        return False
    grown = any(call.kind in (Kind.FTRUNCATE, Kind.PWRITE) for call in before[stored:])
    return grown and all(our in (0, their) for our, their in zip(*_bytes(divergence), strict=True))


def _bytes(divergence: Divergence) -> tuple[bytes, bytes]:
    """Give the bytes that ours and the host's call read."""
    ours, theirs = divergence.model, divergence.host
    if divergence.call.kind is Kind.PREAD:
        return ours.data, theirs.data
    mask = (1 << 64) - 1
    return (ours.value & mask).to_bytes(8, "little"), (theirs.value & mask).to_bytes(8, "little")


def _copies_onto_itself(divergence: Divergence) -> bool:
    """mremap with MREMAP_FIXED whose target covers its source: old length 0, or one that wraps."""
    call = divergence.call
    if call.kind is not Kind.MREMAP or not call.args[3] & 2:
        return False
    if 0 < call.args[1] <= MAX_LENGTH:
        return False
    source, target, length = call.args[0], call.args[4], call.args[2]
    return divergence.host.value == -errno.EFAULT and target <= source < target + length


def _lost_its_target(divergence: Divergence) -> bool:
    """mremap with MREMAP_FIXED that failed on both sides, after Linux had unmapped the target."""
    call, host, model = divergence.call, divergence.host, divergence.model
    if call.kind is not Kind.MREMAP or not call.args[3] & 2 or host.value >= 0:
        return False
    target, end = call.args[4], call.args[4] + call.args[2] + PAGE
    gone = set(model.layout) - set(host.layout)
    return all(area.start < end and target < area.end for area in gone)


FILLS = (Kind.UFFD_COPY, Kind.UFFD_ZEROPAGE, Kind.UFFD_CONTINUE, Kind.UFFD_POISON)
LOCKING = (Kind.MLOCK, Kind.MLOCK2)


def _counts_twice(divergence: Divergence) -> bool:
    """An earlier MREMAP_DONTUNMAP, and Linux finds RLIMIT_MEMLOCK used up where we do not."""
    moved = any(
        call.kind is Kind.MREMAP and call.args[3] & 4 for call in divergence.calls[: divergence.at]
    )
    return moved and divergence.host.value in (-errno.EAGAIN, -errno.ENOMEM)


def _counts_twice_still(divergence: Divergence) -> bool:
    """The same, as VmLck shows it, or what a call has locked before it came to a hole."""
    calls = divergence.calls
    moved = next((i for i, c in enumerate(calls) if c.kind is Kind.MREMAP and c.args[3] & 4), None)
    if moved is None:
        return False
    later = zip(calls[moved:], divergence.before[moved:], strict=False)
    to_a_hole = any(c.kind in LOCKING and outcome.value == -errno.ENOMEM for c, outcome in later)
    return to_a_hole or divergence.fields == {"status VmLck"}


# What a page more or less of a file changes, here or in another process that has it.
OF_PAGES = {
    *("smaps Rss", "smaps Pss", "smaps Pss_Dirty", "smaps Referenced", "smaps Locked", "pagemap"),
    *("smaps Private_Clean", "smaps Private_Dirty", "smaps Shared_Clean", "smaps Shared_Dirty"),
}


def _is_less(line: str, ours: set[str]) -> bool:
    """Whether a page of Linux's is not there, or is not there in another process."""
    return line.endswith(": nothing") or line.replace("exclusive ", "") in ours


def _keeps_marks(divergence: Divergence) -> bool:
    """Memory registered with a userfaultfd for write protection, then without; marks are left.

    No fault around brings a page where a mark is.
    """
    if not _registers_again(divergence) or not divergence.fields <= OF_PAGES:
        return False
    ours = set(divergence.model.state)
    theirs = set(divergence.host.state) - ours
    pages = [line for line in theirs if line.startswith("pagemap")]
    return all("uffd-wp" in line or _is_less(line, ours) for line in pages)


def _meets_marks(divergence: Divergence) -> bool:
    """The same memory is filled: Linux finds marks where here is nothing."""
    kinds = [call.kind for call in divergence.calls[: divergence.at]]
    refused = divergence.host.value in (-errno.EEXIST, -errno.EAGAIN)
    filled = divergence.call.kind in FILLS and refused and divergence.model.value >= 0
    return filled and Kind.UFFD_PROTECT in kinds and _registers_again(divergence)


def _stores_to_marks(divergence: Divergence) -> bool:
    """A store that only Linux takes for one to protected memory: it finds a mark of before."""
    signals = divergence.host.signo, divergence.model.signo
    stored = divergence.call.kind is Kind.STORE and signals == (signal.SIGBUS, 0)
    return stored and _registers_again(divergence)


def _registers_again(divergence: Divergence) -> bool:
    """Memory was registered for write protection, and then, some of it, without."""
    calls = divergence.calls[: divergence.at]
    modes = [call.args[2] for call in calls if call.kind is Kind.UFFD_REGISTER]
    protects = next((at for at, mode in enumerate(modes) if mode & 2), len(modes))
    return any(not mode & 2 for mode in modes[protects:])


def _moves_several(divergence: Divergence) -> bool:
    """mremap to a fixed place, of more than one page, that only Linux refuses with EFAULT."""
    call = divergence.call
    fixed = call.kind is Kind.MREMAP and bool(call.args[3] & 2) and call.args[1] > PAGE
    return fixed and divergence.host.value == -errno.EFAULT and divergence.model.value >= 0


def _guards(divergence: Divergence) -> bool:
    """madvise with MADV_GUARD_INSTALL or MADV_GUARD_REMOVE."""
    return divergence.call.kind is Kind.MADVISE and divergence.call.args[2] in (102, 103)


def _says_of_failed_memory(divergence: Divergence) -> bool:
    """SIGBUS of a page that a userfaultfd has poisoned: BUS_MCEERR_AR, not BUS_ADRERR."""
    host, ours = divergence.host, divergence.model
    same_place = (host.signo, host.addr) == (ours.signo, ours.addr) == (signal.SIGBUS, ours.addr)
    poisoned = any(call.kind is Kind.UFFD_POISON for call in divergence.calls)
    return same_place and (host.code, ours.code) == (4, 2) and poisoned


def _has_guards(divergence: Divergence) -> bool:
    return any(c.kind is Kind.MADVISE and c.args[2] == 102 for c in divergence.calls)


def _shows_guards(divergence: Divergence) -> bool:
    """VmFlags differs after MADV_GUARD_INSTALL."""
    return _has_guards(divergence) and divergence.fields == {"smaps VmFlags"}


def _joins_by_guards(divergence: Divergence) -> bool:
    """After MADV_GUARD_INSTALL Linux has joined areas of a file that are apart here."""
    joins = len(divergence.host.layout) < len(divergence.model.layout)
    return joins and _has_guards(divergence) and _has_the_same_pages(divergence)


def _seals_apart(divergence: Divergence) -> bool:
    """mseal leaves areas apart on Linux that are joined here."""
    joins = len(divergence.model.layout) < len(divergence.host.layout)
    return joins and divergence.call.kind is Kind.MSEAL and _has_the_same_pages(divergence)


def _has_the_same_pages(divergence: Divergence) -> bool:
    """The layouts are the same but for where neighbours that are alike are apart."""
    return _joined(divergence.host.layout) == _joined(divergence.model.layout)


def _joined(layout: Layout) -> list[Area]:
    """Return a layout whose neighbours that are alike are one area."""
    areas: list[Area] = []
    for area in layout:
        last = areas[-1] if areas else area
        size = last.end - last.start if last.file.startswith("/") else 0  # others have no offset
        if area == replace(last, start=last.end, end=area.end, offset=last.offset + size):
            areas[-1] = replace(last, end=area.end)
        else:
            areas.append(area)
    return areas


def _refers(divergence: Divergence) -> bool:
    """Referenced differs."""
    return divergence.fields == {"smaps Referenced"}


def _seals_execution(divergence: Divergence) -> bool:
    """fcntl with F_SEAL_EXEC, which seals writing too, of a file mapped to be written."""
    call, ours = divergence.call, divergence.model.value
    seals = call.kind is Kind.FCNTL and call.args[1:] == (F_ADD_SEALS, call.args[2] | F_SEAL_EXEC)
    return seals and (divergence.host.value, ours) == (0, -errno.EBUSY)


def _another_error(divergence: Divergence) -> bool:
    """mremap or madvise that both refuse, with another of the errors that apply."""
    refused = divergence.host.value < 0 and divergence.model.value < 0
    return divergence.call.kind in (Kind.MREMAP, Kind.MADVISE) and refused


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        Aspect.RESULT,
        _tail_shows,
        Then.STOP,
        "bytes stored beyond the end of a file, in its last page, are zeroes once the file has "
        "grown; Linux's tmpfs shows them (POSIX leaves it open)",
    ),
    Difference(
        Aspect.DATA,
        _tail_shows,
        Then.STOP,
        "the same, seen by pread",
    ),
    Difference(
        Aspect.RESULT,
        _copies_onto_itself,
        Then.STOP,
        "mremap(addr, 0 or -n, n, MAYMOVE|FIXED, addr): Linux unmaps the target, then misses its "
        "source and fails with EFAULT, the area gone; we never fail with something changed",
    ),
    Difference(
        Aspect.LAYOUT,
        _lost_its_target,
        Then.STOP,
        "mremap with MREMAP_FIXED that fails: Linux may have unmapped the target before it finds "
        "the error; we check first and change nothing",
    ),
    Difference(
        Aspect.RESULT,
        _counts_twice,
        Then.STOP,
        "mremap(MREMAP_DONTUNMAP) of locked memory: Linux unlocks what it leaves behind but goes "
        "on counting it against RLIMIT_MEMLOCK; our count is what is locked",
    ),
    Difference(
        Aspect.STATE,
        _counts_twice_still,
        Then.GO_ON,
        "the same, as VmLck shows it",
    ),
    Difference(
        Aspect.STATE,
        _keeps_marks,
        Then.GO_ON,
        "UFFDIO_REGISTER without write protection, of memory registered with it before: Linux "
        "leaves the marks of what was protected; here they go with the protection",
    ),
    Difference(
        Aspect.RESULT,
        _meets_marks,
        Then.STOP,
        "the same, where such memory is filled: Linux says EEXIST for a mark without a page",
    ),
    Difference(
        Aspect.SIGNAL,
        _stores_to_marks,
        Then.STOP,
        "the same, where such memory is registered once more for write protection and stored to",
    ),
    Difference(
        Aspect.SIGNAL,
        _says_of_failed_memory,
        Then.GO_ON,
        "poisoned pages are BUS_MCEERR_AR on a Linux that is built for memory that may fail "
        "(CONFIG_MEMORY_FAILURE); here BUS_ADRERR, as on one that is not",
    ),
    Difference(
        Aspect.STATE,
        _refers,
        Then.GO_ON,
        "which pages are Referenced on a Linux that has them on lists by generation (MGLRU); here "
        "they are on two lists, as on one where that is switched off",
        where=lists_by_generation,
    ),
    Difference(
        Aspect.RESULT,
        _moves_several,
        Then.STOP,
        "mremap to a fixed place moves several mappings at once since 6.17",
        before=(6, 17),
    ),
    Difference(
        Aspect.RESULT,
        _guards,
        Then.STOP,
        "MADV_GUARD_INSTALL and MADV_GUARD_REMOVE, in mappings of files too since 6.15",
        before=(6, 15),
    ),
    Difference(
        Aspect.STATE,
        _shows_guards,
        Then.GO_ON,
        "VmFlags says gu of memory that has had guards in 6.18.44; 6.18.15 does not",
        before=(6, 18, 44),
    ),
    Difference(
        Aspect.LAYOUT,
        _joins_by_guards,
        Then.STOP,
        "guards give an area of a file a family (anon_vma) in 6.18.15, by which it joins more "
        "neighbours; in 6.18.44 they do not",
        before=(6, 18, 44),
    ),
    Difference(
        Aspect.LAYOUT,
        _seals_apart,
        Then.STOP,
        "mseal of several areas in 6.18.15: one that has joined the next is no neighbour of the "
        "third; in 6.18.44 it is",
        before=(6, 18, 44),
    ),
    Difference(
        Aspect.RESULT,
        _seals_execution,
        Then.STOP,
        "F_SEAL_EXEC is EBUSY where a mapping may write, in 6.18.44; 6.18.15 lets it pass",
        before=(6, 18, 44),
    ),
    Difference(
        Aspect.RESULT,
        _another_error,
        Then.STOP,
        "mremap and madvise look at their arguments in another order in older releases",
        before=(6, 18),
    ),
)


def compare(
    calls: tuple[Call, ...],
    at: int,
    host: Outcome,
    model: Outcome,
    before: Sequence[Outcome] = (),
) -> Divergence | None:
    """Compare the outcomes of one call; None if they are equal. before: the host's until then."""
    if host == model:
        return None
    if (host.signo, host.code, host.addr) != (model.signo, model.code, model.addr):
        aspect = Aspect.SIGNAL
    elif host.value != model.value:
        aspect = Aspect.RESULT
    elif host.data != model.data:
        aspect = Aspect.DATA
    elif host.layout != model.layout:
        aspect = Aspect.LAYOUT
    else:
        aspect = Aspect.STATE
    return Divergence(aspect, calls, at, host, model, tuple(before))


def allowed(
    divergence: Divergence,
    table: Sequence[Difference] = DIFFERENCES,
    host: Release | None = None,
) -> tuple[Difference, ...]:
    """Find the rows that allow a divergence: one for each of its parts; none if one has none.

    host: the release that it was compared with; this host's if None.
    """
    release = host or host_release()
    rows = [row for row in table if row.is_beside(release)]
    found = [_row_of(part, rows) for part in divergence.parts]
    return tuple(dict.fromkeys(row for row in found if row)) if all(found) else ()


def _row_of(part: Divergence, rows: Iterable[Difference]) -> Difference | None:
    of_aspect = (row for row in rows if row.aspect is part.aspect)
    return next((row for row in of_aspect if row.allows(part)), None)


# ---- hosts that are older than what this kernel follows ----


@dataclass(frozen=True, slots=True)
class Newer:
    """What Linux does by a release, and hosts before it may not; 6.1 is known not to.

    subject: what the tests call it. by: the first release that is known to do it. fields: names
    that stand in files of /proc since, or have another form.
    """

    subject: str
    by: Release
    reason: str
    fields: frozenset[str] = frozenset()


NEWER: tuple[Newer, ...] = (
    Newer("memfd's exec flags", (6, 3), "MFD_NOEXEC_SEAL and MFD_EXEC of memfd_create"),
    Newer("one vector", (6, 4), "a vector of one part is cut to size before it is looked at"),
    Newer("cachestat", (6, 5), "the call cachestat"),
    Newer("splice", (6, 6), "splice looks at what it moves before it looks at the pipe"),
    Newer("xattr", (6, 6), "attributes user.* of files on tmpfs"),
    Newer("heap", (6, 6), "data that touches the heap is not named [heap]: conform's own layout"),
    Newer(
        "futex2", (6, 18, 44), "futex_wait, futex_wake and futex_requeue, words with a node behind"
    ),
    Newer(
        "seen by inotify", (6, 8), "an open is told before what it cuts, splice of both its ends"
    ),
    Newer("execve", (6, 8), "execve opens the program before it counts the arguments"),
    Newer("eventfd", (6, 9), "a write to an eventfd of more than eight bytes is EINVAL"),
    Newer("weighted interleaving", (6, 9), "MPOL_WEIGHTED_INTERLEAVE of memory policies"),
    Newer("mseal", (6, 10), "the call mseal"),
    Newer("out-of-band data", (6, 11), "what follows out-of-band data of AF_UNIX can be read"),
    Newer("SCHED_EXT", (6, 12), "the policy SCHED_EXT"),
    Newer("timers", (6, 13), "a timer that is deleted takes its signal with it"),
    Newer("pidfd", (6, 14), "PIDFD_THREAD, PIDFD_SELF, pidfds as files of their own"),
    Newer("guards", (6, 15), "MADV_GUARD_INSTALL, in mappings of files too"),
    Newer("userfaultfd", (6, 15), "UFFDIO_MOVE, _POISON and what they say of guards"),
    Newer("dispatch", (6, 18), "PR_SYS_DISPATCH_INCLUSIVE_ON of calls, slots of futexes"),
    Newer("secret memory", (6, 18), "memfd_secret: on by default since 6.5, errors since then"),
    Newer("vectors", (6, 18), "the file is looked at before the vector of readv and its kin"),
    Newer("seals", (6, 18, 44), "files sealed against writing: mapped shared, by F_SEAL_EXEC too"),
    Newer("fallocate", (6, 18), "modes of fallocate that exclude each other are EOPNOTSUPP"),
    Newer("sockets", (6, 18), "a write to a datagram socket whose peer has gone is EPIPE"),
    Newer(
        "waiting bytes", (6, 18, 44), "how many bytes an AF_UNIX stream says wait, marks of others"
    ),
    Newer("peeking", (6, 18), "SO_PEEK_OFF of TCP, SCM_PIDFD of a process that has gone"),
    Newer("options", (6, 18), "buffers of sockets up to 4 MiB, SO_PASSCRED of AF_UNIX alone"),
    Newer(
        "no execution",
        (6, 18, 44),
        "what has no name in a file system is not mapped to be executed",
    ),
    Newer("mdwe", (6, 18), "PR_SET_MDWE and its flags, flags of PR_SET_THP_DISABLE"),
    Newer("order of vmstat", (6, 18), "the order of the lines of /proc/vmstat"),
    Newer("rollup", (6, 18), "smaps_rollup of a process that has ended is ESRCH at open"),
    Newer("calls that are set", (6, 16), "PTRACE_SET_SYSCALL_INFO"),
    Newer("notes", (6, 18), "the notes of a core file say how they are aligned"),
    Newer("rwflags", (6, 18), "the flags of preadv2 and pwritev2"),
    Newer("structures that grow", (6, 15), "open_tree_attr, PROCMAP_QUERY, sizes of mnt_id_req"),
    Newer(
        "rings",
        (6, 18, 44),
        "what a request that does nothing looks at, which slots are there, whom a futex wakes",
    ),
    Newer(
        "flags of pages",
        (6, 18, 44),
        "kpageflags names KSM's pages only, all anonymous ones before",
    ),
    Newer("taken entries", (6, 18), "rings' registrations of busy polling, queries"),
    Newer(
        "flags of files",
        (6, 17),
        "file_getattr, file_setattr, setxattrat and its kin, AT_EXECVE_CHECK",
    ),
    Newer(
        "sizes of rings",
        (6, 18, 44),
        "flags of rings that are resized, a NOP without its file, how much a bundle takes",
    ),
    Newer("where tasks sleep", (6, 18), "the functions that wchan names"),
    Newer("options of mounts", (6, 18), "what mounts say of options that are wrong"),
    Newer(
        "tracepoints",
        (6, 18, 44),
        "task_rename's record has the thread's number",
        frozenset({"task:task_rename"}),
    ),
    Newer(
        "fields of /proc",
        (6, 18),
        "lines of /proc/meminfo, status and smaps",
        frozenset({"Zswap", "Zswapped", "Balloon", "Kthread", "untag_mask", "KSM"}),
    ),
)


def newer_than(host: Release, table: Sequence[Newer] = NEWER) -> tuple[Newer, ...]:
    """Return what a host of this release may not do."""
    return tuple(row for row in table if host < row.by)
