"""How often a test tries what it draws by lot.

`make test` tries each kind of thing as often as it takes to meet what was once wrong there. What is
drawn follows from a seed, so that the same is tried in every run; `make test ROUNDS=10` draws ten
times as much, for a change that wants it. In C: draws() of tests/core/harness.h.
"""

import os

ROUNDS = int(os.environ.get("ROUNDS", "1"))
