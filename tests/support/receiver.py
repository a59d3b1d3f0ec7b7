"""A receiver of webhooks."""

import threading
from http.server import BaseHTTPRequestHandler

from tests.support.waiting import wait_until
from tests.support.web_server import WebServer


class Receiver(WebServer):
    """A web server that records requests; it refuses the first ``refusals`` of them."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals = refusals
        self.received: list[tuple[dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?x=1"

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()

    def await_count(self, count: int) -> None:
        wait_until(lambda: len(self.received) >= count, f"{count} webhooks were received")


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))
        self.send_response(500 if len(self.server.received) <= self.server.refusals else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
