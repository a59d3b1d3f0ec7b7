"""The forms of URLs that are understood, one module each."""
