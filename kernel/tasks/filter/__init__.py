"""What may become of a system call before it is made: filters, listeners, user dispatch."""
