"""Calls about files: names, descriptors, bytes, pipes, sockets, and waiting for them."""
