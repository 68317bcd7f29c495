"""The machine's files on the host: a directory there shows root, /proc and /sys of a live machine.

    guests.py     who comes in, with whose rights, and what a look leaves as it was
    tree.py       the operations of FUSE, each one visit of the machine
    mounted.py    where it is mounted, for how long, and why it cannot be
    hostshell.py  the host's tools where the machine's /proc stands at /proc

Nothing here knows the command line. The door they come in by is kernel/visits.py.
"""
