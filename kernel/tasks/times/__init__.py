"""Processor time of a process, clocks and timers."""
