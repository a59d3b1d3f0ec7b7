"""The URL dialects: Pixmill's own, and a folder for each peer."""
