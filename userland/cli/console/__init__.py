"""The console: a live machine at the terminal, its lines and pipes."""
