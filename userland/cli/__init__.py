"""The command `pkern`: its options, commands, console and tables."""
