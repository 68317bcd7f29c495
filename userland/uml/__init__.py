"""A guest kernel that is an ordinary program of this kernel, as User Mode Linux is of Linux's.

    host.py       what the guest kernel asks of its host: system calls only, counted
    memory.py     guest physical memory: a file of frames, who uses which
    space.py      a guest address space: areas, its page table, copy on write
    shadow.py     how a host address space shows guest frames: nonlinear, or one mmap a page
    files.py      the guest's files, pipes and console
    process.py    a guest process, and how a program is loaded into it
    table.py      the guest's system calls: memory_calls.py, file_calls.py, process_calls.py,
                  misc_calls.py fill it
    kernel.py     the loop: resume the guest, take its stop, answer, choose who is next
    run.py        boots it on a machine, for the command line and for tests

A guest process runs as machine code in a traced task of the host. Each of its system calls and
faults stops that task, and the guest kernel answers; the host's own handlers never see them.
"""
