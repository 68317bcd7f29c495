"""Calls about tasks: their life, identity, signals, time, and tracing."""
