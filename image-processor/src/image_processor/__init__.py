"""Pixmill's image processing: tasks made over HTTP, done by workers, each result a file again."""
