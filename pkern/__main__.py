"""`python -m pkern` is the command `pkern`."""

import sys

from pkern.userland.cli.main import main

sys.exit(main())
