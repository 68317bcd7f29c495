"""Calls about files: names, descriptors, bytes, pipes, sockets, and waiting for them.

What they change kernel/vfs owns; at.py has what most of them share. ROOMS (syscalls/__init__.py)
says which file holds a call.
"""
