"""The work on tasks in a worker: claimed, done, recorded."""
