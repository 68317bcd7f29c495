"""Who has the processor: registers, the scheduler, traps, the page of vsyscalls."""
