"""Render processes that a picture has taken over."""

import pickle
import socket
from pathlib import Path


class _Creation:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def pickle_that_creates(path: Path) -> bytes:
    """Return a pickle that creates a file when it is read."""
    return pickle.dumps(_Creation(path))


def answering(content: bytes, connection: socket.socket, _settings: object) -> None:
    """Answer the first job with these bytes, and live on until the service closes the connection."""
    connection.recv(1)
    connection.sendall(content)
    with connection.makefile("rb") as rest:
        rest.read()


def answering_unasked(content: bytes, connection: socket.socket, _settings: object) -> None:
    """Send these bytes before there is a job."""
    connection.sendall(content)
    with connection.makefile("rb") as rest:
        rest.read()
