"""Presets from the settings and from owners."""
