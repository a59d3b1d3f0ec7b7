"""Receives request bodies into staging files."""
