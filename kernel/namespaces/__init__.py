"""Namespaces: what tasks may each have of their own, and who has power over it.

Every fact of a namespace has one owner: the object of that namespace. A task holds its own ones as
Linux's does: user by its credentials, the others by an Nsproxy, a value that tasks share.
"""
