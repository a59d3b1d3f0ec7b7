"""Access to the files that tasks need, which file-storage holds."""
