"""Reads and makes signed URLs."""
