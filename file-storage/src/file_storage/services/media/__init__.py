"""Reads the media type, the size and the date of pictures from their first bytes."""
