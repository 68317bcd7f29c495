"""Calls of processes that talk by semaphores and messages."""
