"""Each file: one claim of the letter, or a few of one kind: programs, and the verdict's rules."""
