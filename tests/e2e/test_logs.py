"""All log lines of the full stack are JSON, not only those of its own events."""

import json
import socket

from tests.support.stacks import FullStack


def test_invalid_requests_to_the_event_stream_are_logged_as_json(full: FullStack) -> None:
    with socket.create_connection(("127.0.0.1", int(full.environment["EVENTS_PORT"]))) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")

    lines = full.image_processor.logged("Invalid HTTP request")
    assert {json.loads(line)["logger"] for line in lines} == {"uvicorn.error"}
