"""What pyproject.toml cannot say: where the package's rooms lie, and the C core, built by cffi.

What is installed is one package, `pkern`. Its floors are folders at the top of the source tree;
the mapping here puts them below `pkern`, for wheels, source archives and the editable installation.
"""

from setuptools import find_packages, setup

FLOORS = ("kernel", "syscalls", "userland")
ROOMS = [
    f"pkern.{room}"
    for floor in FLOORS
    for room in (floor, *(f"{floor}.{inner}" for inner in find_packages(floor)))
]

setup(
    packages=["pkern", *ROOMS],
    package_dir={"pkern": "pkern", **{f"pkern.{floor}": floor for floor in FLOORS}},
    cffi_modules=["kernel/core/build_core.py:ffibuilder"],
)
