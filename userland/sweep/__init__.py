"""What if this call fails, or that allocation? Every one of them, each in a branch of its own.

    positions.py   where a failure may come: the n-th call of a set, the n-th allocation
    run.py         the line of the program that nothing fails in, which branches at every position
    ends.py        how a branch ended, and which ends are one

The program runs once; where a failure may come the machine is forked, the copy fails there and
goes on to its end. So no branch runs again what came before. The command `pkern sweep` puts them
together; nothing here knows the command line.
"""
