"""Events in files: ftrace's text, JSON lines, and Trace Event JSON for Perfetto and Chrome."""
