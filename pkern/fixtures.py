"""The short names of pkern's pytest plugin, for a project that asks for them.

In its topmost conftest.py: pytest_plugins = ["pkern.fixtures"]. Fixtures `machine` (and `kernel`,
the same), `user`, `root`, `task` and `program`; the markers `sysctl`, `boot` and `all_rmaps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.userland.program import Sys


@pytest.fixture
def machine(pkern_machine: Kernel) -> Kernel:
    """Give a fresh machine (a pkern.Kernel); recount it after the test, then look for leaks."""
    return pkern_machine


@pytest.fixture
def kernel(pkern_machine: Kernel) -> Kernel:
    """Give the machine, by the name that its class has."""
    return pkern_machine


@pytest.fixture
def user(pkern_user: Sys) -> Sys:
    """Give the system calls of an unprivileged task of the machine (uid 1000, no capability)."""
    return pkern_user


@pytest.fixture
def root(pkern_root: Sys) -> Sys:
    """Give the system calls of a task of the machine that is root: uid 0, every capability."""
    return pkern_root


@pytest.fixture
def task(pkern_machine: Kernel) -> Task:
    """Give an unprivileged task of the machine, whose address space is `task.mm`."""
    return pkern_machine.spawn()


@pytest.fixture
def program(pkern_program: Any) -> Any:
    """Give a function: the path of a program (x86-64 ELF) -> what runs it on the machine."""
    return pkern_program
