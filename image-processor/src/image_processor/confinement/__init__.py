"""Confines processes that decode images: their files, connections, system calls and resources."""
