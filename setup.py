"""The one part of the build that pyproject.toml cannot say: the C core, built by cffi."""

from setuptools import setup

setup(cffi_modules=["kernel/core/build_core.py:ffibuilder"])
