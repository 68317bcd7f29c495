"""Everything that runs on the kernel: programs, emulators, the command line, the test plugin.

Beside the rooms stands what several of them need:

    program binding calls           programs in Python: Sys, and how its methods are made
    machine_code engine cprograms   programs in machine code; the C programs that pkern brings
    given shown                     what either kind gets, and sees of the host
    runner harness wall             one run to its end: for Python, for who runs many; by the clock
    injection failing watched       what is done to calls, to allocations; who looks at Python's
    failures complaints             how a program failed; why something cannot be
    symbols tables                  names of addresses; tables on the terminal
    cpu                             the processor of emulators, which are Python programs
    foreign anycalls                others' files in Python; any calls at all (pkern conform)
    pytest_plugin pytest_branch     machines for tests
"""
