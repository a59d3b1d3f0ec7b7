"""The bytes of files on their way out."""
