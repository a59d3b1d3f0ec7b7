"""The readiness of a service depends on its event process, if it has one."""

import socket

import pytest
import svcs
from service_kit.events.port import EventsPort, register_events_port


def pings(registry: svcs.Registry) -> list[str]:
    return [ping.name for ping in svcs.Container(registry).get_pings()]


def test_a_service_without_such_a_process_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTS_PORT", raising=False)
    registry = svcs.Registry()

    register_events_port(registry)

    assert pings(registry) == []


def test_a_service_is_ready_once_the_process_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as events:
        monkeypatch.setenv("EVENTS_HOST", "0.0.0.0")
        monkeypatch.setenv("EVENTS_PORT", str(events.getsockname()[1]))
        registry = svcs.Registry()
        register_events_port(registry)
        [ping] = svcs.Container(registry).get_pings()

        ping.ping()

    with pytest.raises(OSError, match="refused"):
        ping.ping()


def test_the_port_has_the_name_that_readyz_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTS_PORT", "1")
    registry = svcs.Registry()

    register_events_port(registry)

    assert pings(registry) == [f"{EventsPort.__module__}.{EventsPort.__qualname__}"]
