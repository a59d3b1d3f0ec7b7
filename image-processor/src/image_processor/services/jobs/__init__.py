"""The work of a worker: claims tasks, runs them, records how they ended."""
