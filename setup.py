"""What pyproject.toml cannot say: where the package's rooms lie, and the C core, built by cffi.

What is installed is one package, `pkern`. Its floors are folders at the top of the source tree;
the mapping here puts them below `pkern`, for wheels, source archives and the editable installation.
"""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.editable_wheel import editable_wheel

FLOORS = ("kernel", "syscalls", "userland")
ROOMS = [
    f"pkern.{room}"
    for floor in FLOORS
    for room in (floor, *(f"{floor}.{inner}" for inner in find_packages(floor)))
]
FOLDERS = {"pkern": "pkern", **{f"pkern.{floor}": floor for floor in FLOORS}}

# What finds the tree. Every start of Python in the environment imports it, so it imports nothing:
# the one that setuptools would write takes as long as Python itself. It is asked first, as a folder
# of no package, named pkern as the clone is, would else be taken for the package.
FINDER = '''\
"""Finds pkern in its source tree. PYTEST_DONT_REWRITE: it is imported before pytest is."""

import sys
from _frozen_importlib_external import PathFinder, spec_from_file_location

FOLDERS = {folders!r}


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        folder = FOLDERS.get(name)
        if folder is None:
            return None
        nearer = PathFinder.find_spec(name, path, target)
        if nearer is not None and nearer.has_location:
            return nearer
        init = folder + "/__init__.py"
        return spec_from_file_location(name, init, submodule_search_locations=[folder])


sys.meta_path.insert(0, Finder)
'''


class Tree:
    """The editable installation: a .pth file that imports the finder."""

    def __call__(self, wheel, files, mapping):
        folders = {name: str(Path(folder).resolve()) for name, folder in FOLDERS.items()}
        wheel.writestr("_pkern_tree.py", FINDER.format(folders=folders))
        wheel.writestr("_pkern_tree.pth", "import _pkern_tree\n")

    def __enter__(self):
        return self

    def __exit__(self, *why):
        pass


class EditableWheel(editable_wheel):
    """As setuptools makes it, but for how the tree is found."""

    def _select_strategy(self, name, tag, build_lib):
        return Tree()


setup(
    packages=["pkern", *ROOMS],
    package_dir=FOLDERS,
    cffi_modules=["kernel/core/build_core.py:ffibuilder"],
    cmdclass={"editable_wheel": EditableWheel},
)
