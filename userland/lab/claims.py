"""The claims of the letter "Re: objrmap and vmtruncate" (linux-kernel, 6 April 2003), in short.

Owns their numbers and their wording on the pages. An experiment names the claims that it settles.
"""

from __future__ import annotations

from dataclasses import dataclass

LETTER_ID = "20030405231008.GI1326@dualathlon.random"  # 01:10 on the 6th where it was written
LETTER = (
    'the letter "Re: objrmap and vmtruncate" (Andrea Arcangeli to Andrew Morton, linux-kernel and '
    f"linux-mm, 6 April 2003, {LETTER_ID})"
)
KIRILL = (
    "Kirill Shutemov, 8 May 2014, 1399552888-11024-1-git-send-email-kirill.shutemov@linux.intel.com"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: its number (C1 ...) and what it says, in one sentence."""

    number: str
    text: str

    @property
    def order(self) -> int:
        """The number as a number: C2 comes before C10."""
        return int(self.number[1:])


_TEXTS = {
    "C1": "A nonlinear mapping should carry no metadata at all: nothing is as fast as a bare pte.",
    "C2": "A sysctl should gate nonlinear mappings, as they pin memory behind the VM's back.",
    "C3": "With the gate closed an emulator gets EPERM and falls back to mmap, with equal results.",
    "C4": "A guest gets its own time from a vsyscall if a sysctl revirtualises the page.",
    "C5": "A prctl for that instead of the sysctl is more complex, and slower.",
    "C6": "Linear and nonlinear pages mixed in one VMA are unclean: truncate takes wrong pages.",
    "C7": "That a nonlinear VMA shows pages of one file only is a limit it need not have.",
    "C8": "If something lighter than a VMA can do a VMA's work, it should replace the VMA.",
    "C9": "A nonlinear mapping may be treated as locked: the program decides what is in memory.",
    "C10": "A window paged by SIGBUS and remap calls costs more than the kernel's own paging.",
    "C12": "Databases live under a sysctl already: large pages, gated by one group.",
    "C13": "A reverse map of each page walks less in the worst case than a search of the objects.",
    "C14": "The fast paths come first: fork, exec and exit must not pay for what reclaim may save.",
    "C15": "2.4 and 2.5 may be compared only with the same system-call entry.",
    "C16": "A better structure than a list mends the object-based reverse map.",
    "C17": "Allocation is never wholly reliable: give up too early or loop, both may end badly.",
    "C18": "truncate may leave a nonlinear page mapped: the page is then no part of the file.",
    "C19": "MAP_FIXED is already O(log N) in the VMAs; the search for a free gap is not.",
}

# A claim that no experiment can settle, and why.
UNTRIED = {
    "C11": "that a program with such a window repeats in user space the memory management that the "
    "kernel has already, is about the code that someone has to write and keep, which no machine "
    "measures; what that code costs when it runs is C10's."
}
CLAIMS = {number: Claim(number, text) for number, text in _TEXTS.items()}
