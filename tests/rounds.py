"""How often a test tries what it draws by lot.

`make test` tries each kind of thing often enough to meet most of what was once wrong there. What is
drawn follows from a seed, so that the same is tried in every run; `make test ROUNDS=10` draws ten
times as much, for a change that wants it. From ROUNDS=2 on, too, what is one of many alike by turns
is all of them: the second C library, each call under every limit, each pointer for every bit.
In C: draws() of tests/core/harness.h.
"""

import os

ROUNDS = int(os.environ.get("ROUNDS", "1"))
