"""What the processes of the full stack log, beside events of their own: also JSON."""

import json
import socket

from tests.support.stacks import FullStack


def test_the_event_streams_server_tells_in_json_of_what_is_no_request(full: FullStack) -> None:
    with socket.create_connection(("127.0.0.1", int(full.environment["EVENTS_PORT"]))) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")

    told = full.image_processor.logged("Invalid HTTP request")
    assert {json.loads(line)["logger"] for line in told} == {"uvicorn.error"}
