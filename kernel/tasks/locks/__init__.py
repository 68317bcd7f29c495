"""Locks that lie in memory: futexes, those that lend priority, lists of those held."""
