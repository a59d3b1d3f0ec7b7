"""Benchmarks: each compares Pixmill with a limit or with another program in the same run."""
