"""A store that speaks the part of S3's protocol that file-storage uses, and whose requests a test can hold."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.support.waiting import STATE_SECONDS
from tests.support.web_server import WebServer

PREFIX = "/files/prefix/"


class Held:
    """A request that a test holds.

    :ivar arrived: set when the request is there.
    """

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._pass = threading.Event()

    def wait(self) -> None:
        """Let the request wait."""
        self.arrived.set()
        assert self._pass.wait(STATE_SECONDS)

    def release(self) -> None:
        """Let the request pass."""
        self._pass.set()


class ObjectStore(WebServer):
    """A bucket in memory.

    :ivar objects: bytes by name below the prefix.
    :ivar asked: the method of each request.
    :ivar refuses_copies: whether requests to copy an object are refused, as S3 does with very large ones.
    :ivar look: called at the start of each request; the strings that it returns are collected in ``seen``.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refuses_copies = False
        self.look: Callable[[], list[str]] = list
        self.seen: list[str] = []
        self._held: dict[str, Held] = {}
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which file-storage uses this store."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "FILE_STORAGE_STORAGE__URL": "s3://files/prefix",
        }

    @contextmanager
    def holding(self, method: str) -> Iterator[Held]:
        """Hold the next request with this method, before it has an effect, until the test or the block releases it."""
        held = self._held[method] = Held()
        try:
            yield held
        finally:
            held.release()

    def begin(self, method: str) -> None:
        """Record a request, and hold it if a test wants that."""
        self.asked.append(method)
        self.seen += self.look()
        if held := self._held.pop(method, None):
            held.wait()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ObjectStore
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.begin("PUT")
        if source := self.headers.get("x-amz-copy-source"):
            if self.server.refuses_copies:
                self._answer(400)
                return
            name = unquote("/" + source.lstrip("/")).removeprefix(PREFIX)
            if name not in self.server.objects:
                self._answer(404)
                return
            self.server.objects[self._name] = self.server.objects[name]
            self._answer(200, b'<CopyObjectResult><ETag>"tag"</ETag></CopyObjectResult>')
            return
        self.server.objects[self._name] = content
        self._answer(200)

    def do_HEAD(self) -> None:
        self.server.begin("HEAD")
        content = self.server.objects.get(self._name)
        self._answer(404 if content is None else 200, content or b"")

    def do_GET(self) -> None:
        self.server.begin("GET")
        if "list-type" in self._query:
            self._answer(200, self._list())
            return
        content = self.server.objects.get(self._name)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if content is None:
            self._answer(404)
        elif wanted:
            first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
            self._answer(206, content[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(content)}"})
        else:
            self._answer(200, content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.begin("DELETE")
        keys = [key.text or "" for key in ElementTree.fromstring(body).iter() if key.tag.endswith("Key")]
        for key in keys:
            self.server.objects.pop(f"/files/{key}".removeprefix(PREFIX), None)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def do_DELETE(self) -> None:
        self.server.begin("DELETE")
        self.server.objects.pop(self._name, None)
        self._answer(204)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    @property
    def _name(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(PREFIX)

    @property
    def _query(self) -> Mapping[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def _list(self) -> bytes:
        entries = "".join(
            f"<Contents><Key>prefix/{escape(name)}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"tag"</ETag><Size>{len(content)}</Size></Contents>'
            for name, content in sorted(self.server.objects.items())
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()

    def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        given = {"ETag": '"tag"', "Last-Modified": formatdate(0, usegmt=True), "Content-Length": str(len(body))}
        for name, value in (given | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
