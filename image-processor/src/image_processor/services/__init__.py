"""The business rules of tasks, in plain Python without Flask."""
