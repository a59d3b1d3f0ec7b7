"""Presets: those of the settings, and those of owners."""
