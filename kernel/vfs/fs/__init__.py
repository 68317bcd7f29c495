"""File systems, each with its inodes: in memory, on the host, devices, layers."""
