"""Everything that runs on the kernel: programs, emulators, the command line, the test plugin."""
