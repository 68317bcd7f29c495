"""Calls about sockets: making and connecting them, messages, options."""
