"""io_uring: calls asked for and answered through rings in shared memory."""
