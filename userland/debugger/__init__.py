"""A debugger from outside: the stub of gdb's remote protocol, forwards and backwards."""
