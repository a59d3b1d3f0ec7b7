"""The port of a service's event process, for services that run one."""

import os
import socket
from typing import Self

import svcs

_SECONDS = 1.0


class EventsPort:
    """The port of the event process."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    @classmethod
    def of_environment(cls) -> Self | None:
        """Return the port that ``wsgi.ini`` sets for the event process; ``None`` if there is no such process."""
        port = os.environ.get("EVENTS_PORT")
        return cls(os.environ.get("EVENTS_HOST", "127.0.0.1"), int(port)) if port else None

    def ping(self) -> None:
        """:raises OSError: no process listens on the port."""
        # Connecting to a wildcard address such as 0.0.0.0 reaches this machine.
        socket.create_connection(self._address, _SECONDS).close()


def register_events_port(registry: svcs.Registry) -> None:
    """Make readiness depend on the event process, which starts with the service and takes longer."""
    port = EventsPort.of_environment()
    if port is not None:
        registry.register_value(EventsPort, port, ping=EventsPort.ping)
