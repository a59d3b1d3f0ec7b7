"""The rules of files, in plain Python."""
