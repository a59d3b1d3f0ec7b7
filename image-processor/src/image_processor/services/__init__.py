"""The rules of tasks, in plain Python."""
