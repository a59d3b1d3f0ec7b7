"""Receiving request bodies into staging files."""
