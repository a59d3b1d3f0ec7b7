"""Render processes that a picture has taken over."""

import socket


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
