"""The questions of kernel/inspect as words, and places where a program is stopped to be asked."""
