"""Computes sizes and positions by the rules of each dialect, from numbers alone."""
