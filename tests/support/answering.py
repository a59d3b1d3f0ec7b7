"""A fake server whose answers the test chooses."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from itertools import count
from urllib.parse import urlsplit

from tests.support.web_server import WebServer

Answer = tuple[int, object] | tuple[int, object, Mapping[str, str]]
"""A status, a document or bytes, and headers."""
Answering = Callable[[str, str, bytes], Answer | None]
"""Returns the answer to a method, path and body; ``None`` breaks the connection."""


@dataclass
class FakeServer:
    """A server on this machine.

    :ivar answer: decides the answers.
    :ivar requests: the method, path and body of each request.
    :ivar queries: the query of each request.
    :ivar headers: the headers of each request, which ignore the case of names.
    """

    url: str
    answer: Answering = lambda _method, _path, _body: (200, {})
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)

    def paths(self, ending: str) -> list[str]:
        return [path for _, path, _ in self.requests if path.endswith(ending)]


def file_row(file_id: int, **fields: object) -> dict[str, object]:
    """Return a file as the API shows it."""
    return {
        "id": file_id,
        "name": "a",
        "extension": ".txt",
        "comment": "",
        "size": 3,
        "sha256": "0" * 64,
        "media_type": "text/plain",
        **fields,
    }


def problem(status: int, code: str) -> tuple[int, object]:
    """Return a problem document as an answer."""
    return status, {"type": f"urn:pixmill:problem:{code}", "title": code, "detail": f"{code}.", "status": status}


def with_request_ids(answer: tuple[int, object]) -> Answering:
    """Give the same answer to each request, with a request id of its own, as a service does."""
    numbers = count(1)
    return lambda _method, _path, _body: (*answer, {"X-Request-Id": f"request-{next(numbers)}"})


@contextmanager
def answering() -> Iterator[FakeServer]:
    """Yield a server on this machine, in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, query = urlsplit(self.path)[2:4]
            state.queries.append(query)
            state.headers.append(self.headers)
            state.requests.append((self.command, path, body))
            answer = state.answer(self.command, path, body)
            if answer is None:
                self.close_connection = True
                return
            status, document, *headers = answer
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            given = {"Content-Type": "application/json", **(headers[0] if headers else {})}
            self.send_header("Content-Length", str(len(content)))
            for name, value in given.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_HEAD = do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815 (the base class looks for these names)

    with WebServer(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        state = FakeServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()
