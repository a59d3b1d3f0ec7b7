"""Decodes, processes and encodes images, with the details of each format."""
