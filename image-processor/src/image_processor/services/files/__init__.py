"""The files that tasks need, read from file-storage."""
