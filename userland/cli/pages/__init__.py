"""What tells of calls and sysctls: the generated pages, and commands that print their tables."""
