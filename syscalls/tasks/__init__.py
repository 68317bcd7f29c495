"""Calls about tasks: their life, identity, signals, time, and tracing.

What they change kernel/tasks owns. ROOMS (syscalls/__init__.py) says which file holds a call.
"""
