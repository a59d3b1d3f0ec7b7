"""The processes that render, and the pool that gives them jobs."""
