"""An address space as Python sees it, and how the core's needs for memory are served."""
