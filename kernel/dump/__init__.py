"""Core files: what a program that a signal has killed leaves for a debugger."""
