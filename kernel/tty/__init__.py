"""Terminals: the line discipline, pseudo-terminals, the host's own, and whose terminal it is.

discipline.py and output.py know bytes and settings and nothing of tasks; jobs.py knows sessions and
groups; tty.py puts both together, pty.py and host.py are what stands behind.
"""
