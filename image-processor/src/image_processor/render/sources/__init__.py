"""Finds the files and pictures that plans name."""
