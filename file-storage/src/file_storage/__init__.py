"""Pixmill's file server: serves files over HTTP, with their rows in a database and their bytes in a blob store."""
