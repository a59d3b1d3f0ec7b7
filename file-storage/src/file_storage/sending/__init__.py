"""Sends the bytes of files."""
