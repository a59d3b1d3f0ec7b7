"""The jobs of a worker: claim tasks, run them, and record their outcomes."""
