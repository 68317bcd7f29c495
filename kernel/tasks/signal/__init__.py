"""Signals: what they are, who gets them, how a handler begins."""
