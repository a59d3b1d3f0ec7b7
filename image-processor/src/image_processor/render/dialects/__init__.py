"""The URL dialects, one module each."""
