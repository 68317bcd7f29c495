"""How a program begins: execve, its file, whose rights it gets."""
