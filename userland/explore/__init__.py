"""What if the others run in another order? Every schedule of a program, or some of them.

    points.py     where another task could run: the scheduler asks which
    strategies.py who answers: every answer in turn, at random, by priorities, as it was recorded
    dpor.py       who answers: every order that matters; trace.py notes the steps, objects.py says
                  what each touches
    run.py        one schedule from its start to its end, and many of them
    shrink.py     the shortest that ends as one did
    elsewhere.py  many of them on a cluster

A schedule is what differs from the one in which the running task goes on while it can: a few
numbers. Two runs of it are the same. The command `pkern explore` puts them together; nothing here
knows the command line.
"""
