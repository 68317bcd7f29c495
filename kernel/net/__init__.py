"""Sockets: those of this machine talk to each other, and to nothing else.

net.py holds the tables (names, ports, what is on its way), socket.py what every socket has; a file
each for a family's kinds. Nothing here leaves the machine: the only device is the loopback.
"""
