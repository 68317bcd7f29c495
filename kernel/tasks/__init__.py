"""Who runs: tasks, their credentials, signals, programs, and what they wait for."""
