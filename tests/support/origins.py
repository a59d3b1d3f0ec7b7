"""Another server with images, on this machine."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from image_processor.render.sources import origins

from tests.support.images import photo
from tests.support.web_server import WebServer

PICTURE = b"the bytes of a picture"

_AVIF = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + b"\0" * 100
"""The head of an AVIF file whose major brand is another."""
_REDIRECTS = {
    "/elsewhere": "http://other.example/a.png",
    "/moved": "/a.png",
    "/moved-to-utf-8": "/é.png".encode().decode("latin-1"),
    "/malformed": "http://[",
    "/empty-label": "http://a..localhost/a.png",
    "/loop": "/loop",
}

_FILES: Mapping[str, Callable[[], bytes]] = {"/avif": lambda: _AVIF, "/real.png": lambda: photo(8, 6)}
_ETAGS = {"/latin-1": '"\xe9"'}
_STATUSES = {"/missing": 404, "/broken": 500}


class Origin(WebServer):
    """Another server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.control = "max-age=3600"
        self.asked = list[tuple[str, str | None]]()
        """The requested paths, with the versions that the client has."""
        self.gate = threading.Event()
        """Lets requests pass that wait for it."""

    def url(self, path: str) -> str:
        return f"http://localhost:{self.server_port}{path}"

    @contextmanager
    def serving(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Serve in a thread."""
        # The system chooses the ports of tests; by default only the standard ports are allowed.
        monkeypatch.setattr(origins, "_PORTS", (self.server_port, None))
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield
        self.gate.set()
        self.shutdown()

    async def received(self, count: int) -> None:
        """Wait until this many requests have been received."""
        while len(self.asked) < count:
            await asyncio.sleep(0.005)


class _Handler(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        known, etag = self.headers["If-None-Match"], _ETAGS.get(self.path, '"1"')
        self.server.asked.append((self.path, known))
        if self.path in _STATUSES:
            self._answer(_STATUSES[self.path], b"")
            return
        if self.path in _FILES:
            self._answer(200, _FILES[self.path]())
            return
        if self.path in _REDIRECTS:
            self._answer(302, b"", Location=_REDIRECTS[self.path])
            return
        match self.path:
            case "/counted":
                self._answer(200, b"%d" % len(self.server.asked))
            case "/gated":
                self.server.gate.wait(30)
                self._answer(200, PICTURE)
            case "/gated-if-known":
                if known:
                    self.server.gate.wait(30)
                self._answer(304 if known else 200, b"" if known else PICTURE, ETag='"1"')
            case "/slow":
                time.sleep(2)
                self._answer(200, PICTURE)
            case _ if known == etag:
                self._answer(304, b"")
            case _:
                self._answer(200, PICTURE, ETag=etag)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        said = {"Cache-Control": self.server.control} if self.server.control else {}
        for name, value in {**said, **headers}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
