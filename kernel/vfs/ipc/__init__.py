"""Objects of System V and POSIX that outlive their users: segments, semaphores, queues."""
