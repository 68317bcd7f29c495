"""What /proc shows, in Linux's names and layout, from the core's own counters."""
