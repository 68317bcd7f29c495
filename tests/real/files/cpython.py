"""`cpython.py MODULE [CLASS ...]`: one of CPython's own tests, without some of its classes.

Prints how many tests passed, and each that failed or that left itself out, sorted.
"""

import os
import sys
import unittest
from collections import Counter
from collections.abc import Iterator

from test import support


class Outcomes(unittest.TestResult):
    """Keeps how each test ended, by its name; a part of a test that fails is the test's failure."""

    def __init__(self) -> None:
        """Nothing has been run."""
        super().__init__()
        self.ended: dict[str, str] = {}

    def stopTest(self, test: unittest.TestCase) -> None:
        """Note a test that ended well."""
        self.ended.setdefault(name(test), "passed")

    def addError(self, test: unittest.TestCase, err: tuple) -> None:
        """Note an error."""
        self.failed(test, err)

    addFailure = addError

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: tuple) -> None:
        """Note a part that failed."""
        if err:
            self.failed(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Note what was left out."""
        self.ended[name(test)] = "skipped"

    def failed(self, test: unittest.TestCase, err: tuple) -> None:
        """Note a failure; what it was goes to standard error."""
        self.ended[name(test)] = "failed"
        print(f"{name(test)}: {self._exc_info_to_string(err, test)}", file=sys.stderr, flush=True)


def name(test: unittest.TestCase) -> str:
    """Return a test's name without its module."""
    return ".".join(test.id().split(".")[2:]) or test.id()


def tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Return all tests of a suite."""
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from tests(part)
        else:
            yield part


def main(module: str, *unwanted: str) -> None:
    """Run the tests of a module and print how they ended."""
    support.use_resources = ["subprocess"]
    support.verbose = 0
    outcomes = Outcomes()
    loader = unittest.defaultTestLoader
    wanted = [
        test
        for test in tests(loader.loadTestsFromName(f"test.{module}"))
        if type(test).__name__ not in unwanted
    ]
    loader.suiteClass(wanted).run(outcomes)
    counts = Counter(outcomes.ended.values())
    print(f"{module}: {counts['passed']} of {len(outcomes.ended)} passed")
    for test, outcome in sorted(outcomes.ended.items()):
        if outcome != "passed":
            print(outcome, test)
    sys.stdout.flush()
    os._exit(0)  # threads that a test has left behind must not keep it


main(*sys.argv[1:])
