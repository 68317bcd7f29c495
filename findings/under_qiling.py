"""Run `program ARGUMENT` of the folder root/ under Qiling: what it prints, or how it ends."""

import sys

from qiling import Qiling
from qiling.const import QL_VERBOSE

machine = Qiling(["root/program", *sys.argv[1:]], "root", verbose=QL_VERBOSE.OFF)
try:
    machine.run()
except Exception as error:
    print(type(error).__name__)
