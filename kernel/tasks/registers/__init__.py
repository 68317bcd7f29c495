"""A task's registers beside the engine's: of debuggers, of frames, of restartable sequences."""
