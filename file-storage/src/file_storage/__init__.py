"""Pixmill's file server: files in and out over HTTP, their rows in a database, their bytes in a blob store."""
