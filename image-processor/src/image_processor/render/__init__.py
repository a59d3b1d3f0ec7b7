"""Serves images by URL: parses a URL into a plan, renders it with the codec and caches the result."""
