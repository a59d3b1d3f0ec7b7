"""Sending the bytes of files."""
