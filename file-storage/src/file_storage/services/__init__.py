"""The business rules of files, without HTTP."""
