"""Who has the processor: registers, the scheduler and its parts, traps, the page of vsyscalls."""
