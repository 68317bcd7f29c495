"""A file in Python that is not pkern's: a program's, or one of hooks.

Imported by who is about to run one, and by nobody else: where this module is, such a file has run
in the process, which then ends as Python ends (cli.startup.leave).
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def run_file(path: Path, name: str, **given: Any) -> ModuleType:
    """Run a file as a module of this name, in which `given` is there; return the module.

    It can be found by its name, as pickle and a class of it may want. Errors: OSError of the host,
    SyntaxError, and whatever the file raises.
    """
    source = path.read_bytes()
    module = ModuleType(name)
    vars(module).update(given, __file__=str(path))
    sys.modules[name] = module
    exec(compile(source, str(path), "exec"), vars(module))
    return module
