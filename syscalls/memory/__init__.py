"""Calls about memory: mappings, segments, swap areas."""
