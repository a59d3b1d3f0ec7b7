"""Pixmill's image processing: tasks made over HTTP, done by workers, each result a file again."""

__version__ = "0.1.0"
