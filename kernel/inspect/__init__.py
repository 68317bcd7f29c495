"""Questions about a machine: what its memory is at this moment, and why.

`kernel.inspect` (inspector.py) is the door; answers.py has the values that come back, moment.py the
whole machine at once and what differs between two moments. Reading changes nothing.
"""
