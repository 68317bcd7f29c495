"""Who runs: tasks, their credentials, signals, programs, and what they wait for.

task.py is a thread, group.py the process that it is of; they hold what other files own: credentials
(who it is), attributes and rlimits (what was set for it), thread (its way through machine code),
trace (its tracer), nsproxy (its namespaces). table.py knows all tasks of a machine, clone.py makes
one of another, children.py, news.py and dying.py lead to its end, check.py recounts. machine.py
says what tasks ask of the rest of the machine.
"""
