"""Benchmarks: each compares Pixmill with a limit or a peer in the same run."""
