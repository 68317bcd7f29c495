"""What /sys shows of the machine, and what writing there changes: memory, processors, nodes."""
