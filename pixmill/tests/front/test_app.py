"""The front between a client and a fake uWSGI, or a fake render service, on Unix sockets."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.paths import RenderPaths
from pixmill.front import app, client
from pixmill.front.app import MAX_BUFFERED, MAX_JSON_BODY_BYTES, SEND_BYTES, Front, RenderClient
from pixmill.front.client import UNCOUNTED_BYTES
from pixmill.front.limits import Limit
from service_kit.access.cors import Cors
from service_kit.access.guard import check_host
from service_kit.request_body import JSON_LIMIT, PUBLIC_JSON_LIMIT
from starlette.types import Message, Scope

PROJECT = Path(__file__).parents[3]
Headers = list[tuple[bytes, bytes]]

ORIGIN = "https://app.example"
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


class Exchange(NamedTuple):
    """The request that uWSGI received, and the ASGI messages that the client received."""

    asked: bytes
    sent: list[Message]

    @property
    def status(self) -> object:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return {name.lower(): value for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        return self.sent[-1].get("more_body") is False


class Peers:
    """The client's side of a front, and uWSGI's side.

    :param answer: uWSGI's response to each request.
    :param body: the pieces of the client's body; at ``None`` the client disconnects.
    :param leaves_after: the number of messages after which the client disconnects.
    """

    def __init__(self, answer: bytes, body: Iterable[bytes | None], leaves_after: int | None) -> None:
        self.asked = b""
        self.sent: list[Message] = []
        self._answer = answer
        self._body = iter(body)
        self._leaves_after = leaves_after
        self._gone = asyncio.Event()

    async def uwsgi(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += await reader.readuntil(b"\r\n\r\n")
        if b"content-length" in self.asked or b"chunked" in self.asked:
            self.asked += await reader.read(65536)
        writer.write(self._answer)
        await writer.drain()
        writer.close()

    async def receive(self) -> Message:
        for piece in self._body:
            if piece is None:
                break
            return {"type": "http.request", "body": piece, "more_body": piece != b""}
        else:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self._gone.is_set():
            self.sent.append(message)
        if len(self.sent) == self._leaves_after:
            self._gone.set()
        await asyncio.sleep(0)


INNER_SECRET = "the secret of a worker"


def front_of(socket: Path) -> Front:
    """Return a front whose render service listens at a path next to ``socket``."""
    settings = RenderSettings.model_validate(
        {
            "native": {"keys": []},
            "file_storage": {"inner_secret": "a secret of at least thirty-two bytes"},
            "thumbor": {"keys": ["a key of sixteen bytes"], "path": "/thumbs/", "host": "thumbs.example"},
        }
    )
    render = RenderClient(socket.with_name("render"), RenderPaths(settings))
    check = partial(check_host, allowed={"x", "localhost", "files.example"}, any_address=False)
    return Front(
        socket,
        {},
        render,
        Limit(1, 1),
        Cors([ORIGIN]),
        check,
        {"another": "another inner secret", "worker": INNER_SECRET},
    )


async def run(folder: Path, peers: Peers, scope: Scope, server: str | None) -> None:
    front = front_of(folder / "uwsgi")
    if server is not None:
        async with await asyncio.start_unix_server(peers.uwsgi, folder / server):
            await front(scope, peers.receive, peers.send)
    else:
        await front(scope, peers.receive, peers.send)


def exchanged(
    folder: Path,
    answer: bytes | None,
    method: str = "GET",
    headers: Headers | None = None,
    body: Iterable[bytes | None] = (),
    leaves_after: int | None = None,
    target: bytes = b"/a?b=%20c",
    server: str = "uwsgi",
) -> Exchange:
    """Send one request through a front; the parameters are those of :class:`Peers`.

    :param answer: ``None`` if uWSGI is not running.
    :param server: the one that should receive the request.
    """
    peers = Peers(answer or b"", body, leaves_after)
    scope = scope_of(method, headers or [(b"host", b"x")], target)
    asyncio.run(run(folder, peers, scope, server if answer is not None else None))
    return Exchange(peers.asked, peers.sent)


def scope_of(method: str, headers: Headers, target: bytes) -> Scope:
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": unquote(path.decode()),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "client": ("192.0.2.7", 1),
        "state": {"end_output": lambda: None},
    }


def test_a_request_is_passed_on_without_the_headers_of_its_connection(tmp_path: Path) -> None:
    headers = [
        (b"host", b"files.example"),
        (b"connection", b"keep-alive, x-mine"),
        (b"x-mine", b"1"),
        (b"x-sendfile", b"/etc/passwd"),
        (b"x-real-ip", b"127.0.0.1"),
        (b"x-peer-address", b"127.0.0.1"),
        (b"x_real_ip", b"127.0.0.1"),
        (b"content_length", b"1000"),
        (b"x-body-file", b"/etc/passwd"),
        (b"accept", b"*/*"),
    ]

    asked = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", headers=headers).asked

    line, *fields = asked.decode().strip().split("\r\n")
    assert line == "GET /a?b=%20c HTTP/1.1"
    assert fields == ["host: files.example", "accept: */*", "x-real-ip: 192.0.2.7", "x-peer-address: 192.0.2.7"]


NGINX = (PROJECT / "config/nginx.conf").read_text()
"""What nginx sets in each request, so that a client cannot."""
SET_BY_NGINX = {name for name in re.findall(r"proxy_set_header (X-[A-Za-z-]+)", NGINX) if name != "X-Request-ID"}
"""A client may send X-Request-ID to ``make run``: it names no promise of room there."""
FROM_CLIENTS = {
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    # Believed only with the secret of one of Pixmill's own processes.
    "X-Pixmill-Owner",
    "X-Pixmill-Sees",
    "X-Pixmill-Source-Id",
    "X-Pixmill-Task-Id",
    "X-Pixmill-Batch-Id",
    "X-Request-ID",
}
IN_RESPONSES = {
    "X-Accel-Buffering",
    "X-Accel-Expires",
    "X-Accel-Redirect",
    "X-Content-Type-Options",
    "X-Pixmill-Full-Size",
    "X-Pixmill-Ignored",
    "X-Problem",
    "X-Range",
    "X-Sendfile",
}


def headers_in_the_code() -> set[str]:
    """Return each header with the prefix X- that a service names."""
    sources = (path.read_text() for path in PROJECT.glob("*/src/**/*.py"))
    return {name for source in sources for name in re.findall(r"""["'](X-[A-Za-z-]+)["']""", source)}


def test_the_front_drops_every_header_of_the_server_in_front(tmp_path: Path) -> None:
    ours = headers_in_the_code() - FROM_CLIENTS - IN_RESPONSES
    assert ours >= SET_BY_NGINX > set()
    headers = [(b"host", b"x"), *((name.lower().encode(), b"mine") for name in sorted(ours | SET_BY_NGINX))]

    asked = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", headers=headers).asked

    assert b"mine" not in asked


@pytest.mark.parametrize("target", [b"/a", b"/img/signature/42"], ids=["uwsgi", "render"])
def test_the_options_of_a_connection_do_not_remove_what_the_front_adds(tmp_path: Path, target: bytes) -> None:
    headers = [
        (b"host", b"x"),
        (b"connection", b"X-Real-IP, x-peer-address, host, content-length, x-forwarded-for, X-Forwarded-Server"),
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-forwarded-server", b"proxy"),
        (b"content-length", b"2"),
    ]
    server = "render" if target.startswith(b"/img") else "uwsgi"

    exchange = exchanged(
        tmp_path, OK + b"Content-Length: 0\r\n\r\n", "POST", headers, [b"ab", b""], target=target, server=server
    )

    _, *fields = exchange.asked.decode().strip().split("\r\n")
    assert {"x-real-ip: 192.0.2.7", "x-peer-address: 192.0.2.7"} <= {field.lower() for field in fields}
    kept = {"host: x", "content-length: 2", "x-forwarded-for: 203.0.113.9", "x-forwarded-server: proxy"}
    assert kept <= {field.lower() for field in fields}


@pytest.mark.parametrize("target", [b"/", b"/assets/index-a.js", b"/s/token", b"/files/7?a=/api/"])
def test_the_page_is_sent_only_for_the_server_s_own_hosts(tmp_path: Path, target: bytes) -> None:
    answer = OK + b"Content-Length: 0\r\n\r\n"

    foreign = exchanged(tmp_path, answer, headers=[(b"host", b"rebind.example:8080")], target=target)
    own = exchanged(tmp_path, answer, headers=[(b"host", b"Files.example:8080")], target=target)
    old = exchanged(tmp_path, answer, headers=[(b"accept", b"*/*")], target=target)

    assert (foreign.status, foreign.asked) == (421, b"")
    assert b"unknown-host" in foreign.body
    assert (own.status, old.status) == (200, 200)


@pytest.mark.parametrize("target", [b"/api/file-server/", b"/healthz", b"/readyz"])
def test_a_service_checks_the_host_of_its_requests_itself(tmp_path: Path, target: bytes) -> None:
    answer = OK + b"Content-Length: 0\r\n\r\n"

    assert exchanged(tmp_path, answer, headers=[(b"host", b"rebind.example")], target=target).status == 200


def test_uwsgi_sees_only_the_encoding_to_send(tmp_path: Path) -> None:
    headers = [(b"host", b"x"), (b"accept-encoding", b"br"), (b"accept-encoding", b"gzip;q=0")]

    asked = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", headers=headers).asked

    assert [line for line in asked.split(b"\r\n") if b"encoding" in line] == [b"accept-encoding: identity"]


def test_a_body_is_passed_on_with_the_same_framing(tmp_path: Path) -> None:
    answer = OK + b"Content-Length: 0\r\n\r\n"
    pieces = [b"abc", b"de", b""]
    host = (b"host", b"x")

    known = exchanged(tmp_path, answer, "PUT", [host, (b"content-length", b"5")], pieces)
    unknown = exchanged(tmp_path, answer, "PUT", [host, (b"transfer-encoding", b"chunked")], pieces)

    assert b"content-length: 5\r\n" in known.asked
    assert b"transfer-encoding: chunked\r\n" in unknown.asked
    assert (known.status, unknown.status) == (200, 200)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_body_without_a_use_is_not_passed_on(tmp_path: Path, method: str) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"1000000")]
    body = [bytes(MAX_BUFFERED + 1)]

    exchange = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", method, headers, body, leaves_after=1)

    assert b"content-length" not in exchange.asked
    assert (exchange.status, exchange.headers[b"connection"]) == (200, b"close")


def test_a_response_is_passed_on_without_the_headers_of_its_connection(tmp_path: Path) -> None:
    exchange = exchanged(tmp_path, OK + b"Content-Length: 5\r\nX-Request-ID: 7\r\n\r\nhello")

    assert (exchange.status, exchange.body, exchange.is_complete) == (200, b"hello", True)
    assert exchange.headers.keys() == {b"content-length", b"x-request-id", b"date"}


def test_a_response_that_breaks_off_is_not_completed(tmp_path: Path) -> None:
    exchange = exchanged(tmp_path, OK + b"Content-Length: 9\r\n\r\nhello")

    assert (exchange.body, exchange.is_complete) == (b"hello", False)


@pytest.mark.parametrize(
    ("content_range", "first", "length"),
    [(b"", 0, 1000), (b"bytes 10-19/1000", 10, 10), (b"bytes 999-999/1000", 999, 1)],
)
def test_the_content_length_decides_how_many_bytes_of_a_file_are_sent(
    tmp_path: Path, content_range: bytes, first: int, length: int
) -> None:
    content = bytes(range(250)) * 4
    (tmp_path / "блоб %41").write_bytes(content)
    head = OK + b"X-Sendfile: %b\r\nContent-Length: %d\r\n" % (quote(f"{tmp_path}/блоб %41").encode(), length)

    exchange = exchanged(tmp_path, head + (b"Content-Range: %b\r\n\r\n" % content_range if content_range else b"\r\n"))

    assert (exchange.body, exchange.is_complete) == (content[first : first + length], True)
    assert b"x-sendfile" not in exchange.headers


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"short")], ids=["gone", "cut"])
def test_the_response_breaks_off_where_a_file_has_lost_bytes(tmp_path: Path, change: Callable[[Path], object]) -> None:
    (tmp_path / "blob").write_bytes(bytes(1000))
    change(tmp_path / "blob")

    exchange = exchanged(tmp_path, OK + b"X-Sendfile: %b\r\nContent-Length: 1000\r\n\r\n" % bytes(tmp_path / "blob"))

    assert (len(exchange.body) < 1000, exchange.is_complete) == (True, False)


def test_reading_a_file_stops_when_the_client_disconnects(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(50 * SEND_BYTES))
    head = OK + b"X-Sendfile: %b\r\nContent-Length: %d\r\n\r\n" % (bytes(tmp_path / "blob"), 50 * SEND_BYTES)

    exchange = exchanged(tmp_path, head, leaves_after=3)

    assert len(exchange.body) == 2 * SEND_BYTES


@pytest.mark.parametrize(
    "framing", [(b"content-length", b"1000000"), (b"transfer-encoding", b"chunked")], ids=["of known length", "chunked"]
)
def test_an_answer_before_the_end_of_the_body_does_not_wait_for_a_silent_client(
    tmp_path: Path, framing: tuple[bytes, bytes]
) -> None:
    body = [bytes(MAX_BUFFERED + 1)]

    refused = exchanged(
        tmp_path,
        OK.replace(b"200 OK", b"401 Unauthorized") + b"Content-Length: 2\r\n\r\nno",
        "PUT",
        [(b"host", b"x"), framing],
        body,
        leaves_after=2,
        target=b"/api/file-server/a.jpg",
    )

    assert (refused.status, refused.body, refused.headers[b"connection"]) == (401, b"no", b"close")


def test_a_client_that_disconnects_during_its_body_gets_no_response(tmp_path: Path) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"5")]

    assert exchanged(tmp_path, OK + b"\r\n", "PUT", headers, [b"abc", None]).sent == []


@pytest.mark.parametrize("answer", [None, b""], ids=["nothing listens", "it ends"])
def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path, answer: bytes | None) -> None:
    exchange = exchanged(tmp_path, answer)

    assert (exchange.status, exchange.headers[b"retry-after"]) == (503, b"1")
    assert exchange.headers[b"content-type"] == b"application/problem+json"
    assert exchange.is_complete


def test_the_page_of_a_named_origin_reads_the_refusal_of_its_key(tmp_path: Path) -> None:
    asked = [(b"host", b"x"), (b"origin", ORIGIN.encode()), (b"authorization", b"Bearer secret")]

    headers = exchanged(tmp_path, None, headers=asked).headers

    assert (headers[b"access-control-allow-origin"], headers[b"vary"]) == (ORIGIN.encode(), b"Origin")
    assert b"Retry-After" in headers[b"access-control-expose-headers"].split(b", ")


@pytest.mark.parametrize("origin", [b"https://app.example.evil", b"null"])
def test_the_page_of_another_origin_reads_no_refusal(tmp_path: Path, origin: bytes) -> None:
    asked = [(b"host", b"x"), (b"origin", origin), (b"authorization", b"Bearer secret")]

    headers = exchanged(tmp_path, None, headers=asked).headers

    assert b"access-control-allow-origin" not in headers
    assert headers[b"vary"] == b"Origin"


def test_uwsgi_is_asked_only_when_a_short_body_is_complete(tmp_path: Path) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"5")]

    asked = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", "PUT", headers, [b"abc", None]).asked

    assert asked == b""


def test_a_chunked_body_beyond_the_buffer_is_passed_on_whole(tmp_path: Path) -> None:
    headers = [(b"host", b"x"), (b"transfer-encoding", b"chunked")]
    pieces = [b"a" * MAX_BUFFERED, b"b", b"c", b""]

    exchange = exchanged(
        tmp_path, OK + b"Content-Length: 0\r\n\r\n", "PUT", headers, pieces, target=b"/api/file-server/a.jpg"
    )

    assert exchange.status == 200
    assert exchange.asked.startswith(b"PUT /api/file-server/a.jpg")


WSGI = (PROJECT / "config/embedded/wsgi.ini").read_text()
DEADLINES = [
    *re.findall(
        r"^route-if = regexp:\$\{REQUEST_METHOD\}\$\{REQUEST_URI\};(\S+) addvar:PIXMILL_REQUEST_SECONDS", WSGI, re.M
    ),
    *re.findall(r"^route-uri = (\S+) addvar:PIXMILL_REQUEST_SECONDS", WSGI, re.M),
]
"""What uWSGI compares with the method and the target of a request, or with its target alone."""


def has_deadline(method: str, target: str) -> bool:
    return any(re.match(deadline, text) for deadline in DEADLINES for text in (method + target, target))


LONG_JSON = [b'{"ids": [' + b" " * MAX_BUFFERED, b"1"]
"""The first pieces of JSON that is longer than what is buffered of an upload."""


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/file-server/lookup"),
        ("POST", "/api/file-server/copies"),
        ("POST", "/api/file-server/7/links"),
        ("PATCH", "/api/file-server/7"),
        ("DELETE", "/api/file-server/links/token"),
        ("POST", "/api/keys"),
        ("PUT", "/api/owners/alice/limits"),
        ("POST", "/api/image-processing/tasks"),
        ("PUT", "/api/image-processing/presets/small"),
    ],
)
@pytest.mark.parametrize(
    "framing",
    [(b"content-length", b"%d" % len(b"".join([*LONG_JSON, b"]}"]))), (b"transfer-encoding", b"chunked")],
    ids=["of known length", "chunked"],
)
def test_a_request_with_a_deadline_reaches_uwsgi_only_when_its_body_is_complete(
    tmp_path: Path, method: str, target: str, framing: tuple[bytes, bytes]
) -> None:
    assert has_deadline(method, target)
    headers, answer = [(b"host", b"x"), framing], OK + b"Content-Length: 0\r\n\r\n"

    broken_off = exchanged(tmp_path, answer, method, headers, [*LONG_JSON, None], target=target.encode())
    complete = exchanged(tmp_path, answer, method, headers, [*LONG_JSON, b"]}", b""], target=target.encode())

    assert broken_off.asked == b""
    assert complete.asked.startswith(f"{method} {target} ".encode())
    assert complete.status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/file-server/"),
        ("POST", "/api/file-server/batch"),
        ("PUT", "/api/file-server/a.jpg"),
        ("PATCH", "/api/file-server/uploads/7"),
    ],
)
def test_a_long_upload_reaches_uwsgi_as_it_arrives_and_has_no_deadline(
    tmp_path: Path, method: str, target: str
) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"300000")]

    exchange = exchanged(tmp_path, OK, method, headers, [bytes(MAX_BUFFERED), None], target=target.encode())

    assert exchange.asked.startswith(f"{method} {target} ".encode())
    assert not has_deadline(method, target)


@pytest.mark.parametrize("target", [b"/api/keys", b"/api/image-processing/preview"], ids=["uwsgi", "render"])
def test_a_body_that_arrives_too_slowly_is_refused_before_a_service_is_asked(
    tmp_path: Path, target: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BUFFER_SECONDS", 0)
    headers = [(b"host", b"x"), (b"content-length", b"300000")]

    exchange = exchanged(tmp_path, None, "POST", headers, LONG_JSON, leaves_after=2, target=target)

    assert exchange.status == 408
    assert exchange.headers[b"content-type"] == b"application/problem+json"
    assert b"request-timeout" in exchange.body


def test_an_upload_whose_beginning_arrives_slowly_is_passed_on_as_it_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BUFFER_SECONDS", 0)
    headers = [(b"host", b"x"), (b"transfer-encoding", b"chunked")]

    exchange = exchanged(
        tmp_path, OK + b"Content-Length: 0\r\n\r\n", "PUT", headers, [b"a", b""], target=b"/api/file-server/a.jpg"
    )

    assert exchange.status == 200
    assert exchange.asked.startswith(b"PUT /api/file-server/a.jpg")


def test_a_slash_in_the_name_of_an_upload_is_part_of_the_name_as_in_nginx(tmp_path: Path) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"%d" % (MAX_JSON_BODY_BYTES + 1))]
    target = b"/api/file-server/holiday%2Fa.jpg"

    exchange = exchanged(tmp_path, OK, "PUT", headers, [bytes(MAX_BUFFERED), None], target=target)

    assert exchange.asked.startswith(b"PUT " + target)


def test_a_refusal_names_the_limit_of_the_services(tmp_path: Path) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"%d" % (MAX_JSON_BODY_BYTES + 1))]

    exchange = exchanged(tmp_path, None, "POST", headers, leaves_after=2, target=b"/api/keys")

    assert json.loads(exchange.body)["context"] == {"limit": JSON_LIMIT}


@pytest.mark.parametrize(
    "target",
    [
        b"/api/session",
        b"/api/%73ession",
        b"/api/file-server/shared/token/unlock",
        b"/api/file-server/shared/a%2Fb/unlock",
    ],
)
def test_a_long_body_without_a_key_is_refused_before_it_arrives(tmp_path: Path, target: bytes) -> None:
    headers = [(b"host", b"x"), (b"content-length", b"%d" % (PUBLIC_JSON_LIMIT + 1))]

    exchange = exchanged(tmp_path, None, "POST", headers, leaves_after=2, target=target)

    assert (exchange.status, json.loads(exchange.body)["context"]) == (413, {"limit": PUBLIC_JSON_LIMIT})


@pytest.mark.parametrize("target", [b"/api/keys", b"/api/image-processing/preview"], ids=["uwsgi", "render"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ((b"content-length", b"%d" % (MAX_JSON_BODY_BYTES + 1)), []),
        ((b"transfer-encoding", b"chunked"), [bytes(MAX_JSON_BODY_BYTES), b"a"]),
    ],
    ids=["of known length", "chunked"],
)
def test_a_body_without_files_has_at_most_the_bytes_that_nginx_allows(
    tmp_path: Path, target: bytes, framing: tuple[bytes, bytes], body: list[bytes]
) -> None:
    exchange = exchanged(tmp_path, None, "POST", [(b"host", b"x"), framing], body, leaves_after=2, target=target)

    assert exchange.status == 413
    assert b"body-too-large" in exchange.body
    assert f"client_max_body_size {MAX_JSON_BODY_BYTES // 1024**2}m;\n    client_body_buffer_size" in NGINX


def test_the_bodies_of_an_address_have_a_limit_of_memory_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BUFFERED_BYTES_OF_AN_ADDRESS", MAX_BUFFERED)
    headers, answer = [(b"host", b"x"), (b"transfer-encoding", b"chunked")], OK + b"Content-Length: 0\r\n\r\n"

    long = exchanged(tmp_path, answer, "POST", headers, [*LONG_JSON * 2], leaves_after=2, target=b"/api/keys")
    short = exchanged(tmp_path, answer, "POST", headers, [*LONG_JSON, b""], target=b"/api/keys")

    assert (long.status, long.asked, long.headers[b"retry-after"]) == (503, b"", b"5")
    assert short.status == 200


def test_an_upload_that_finds_the_memory_full_is_passed_on_as_it_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BUFFERED_BYTES", 0)
    headers = [(b"host", b"x"), (b"transfer-encoding", b"chunked")]
    pieces = [b"a" * UNCOUNTED_BYTES, b"bc", b""]

    exchange = exchanged(
        tmp_path, OK + b"Content-Length: 0\r\n\r\n", "PUT", headers, pieces, target=b"/api/file-server/a.jpg"
    )

    assert exchange.status == 200
    assert exchange.asked.startswith(b"PUT /api/file-server/a.jpg")


@pytest.mark.parametrize(
    "first", [[*LONG_JSON, b""], [*LONG_JSON, None], LONG_JSON * 2], ids=["sent", "left", "refused"]
)
def test_the_memory_of_a_body_is_free_after_its_request(
    tmp_path: Path, first: list[bytes | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BUFFERED_BYTES_OF_AN_ADDRESS", MAX_BUFFERED)
    scope = scope_of("POST", [(b"host", b"x"), (b"transfer-encoding", b"chunked")], b"/api/keys")

    async def both() -> Peers:
        front = front_of(tmp_path / "uwsgi")
        for body in (first, [*LONG_JSON, b""]):
            peers = Peers(OK + b"Content-Length: 0\r\n\r\n", body, leaves_after=2)
            async with await asyncio.start_unix_server(peers.uwsgi, tmp_path / "uwsgi"):
                await front(scope, peers.receive, peers.send)
        return peers

    assert asyncio.run(both()).sent[0]["status"] == 200


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/img/signature/w:200//42%2F.webp?a=%20", b"x"),
        (b"/thumbs/signature/200x0/42", b"x"),
        (b"/signature/200x0/42", b"thumbs.example:8080"),
        (b"/api/image-processing/thumbnails/42/256", b"x"),
    ],
)
def test_a_request_for_a_picture_goes_to_the_render_service_as_it_was_sent(
    tmp_path: Path, target: bytes, host: bytes
) -> None:
    exchange = exchanged(tmp_path, OK + b"\r\nok", headers=[(b"host", host)], target=target, server="render")

    assert exchange.asked.startswith(b"GET " + target + b" HTTP/1.1\r\n")
    assert exchange.body == b"ok"


PREVIEW = b"/api/image-processing/preview"


class Renders:
    """A fake render service, which receives whole requests."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"chunked" in head.lower():
            body = await reader.readuntil(b"0\r\n\r\n")
        else:
            [length] = re.findall(rb"content-length: (\d+)", head.lower()) or [b"0"]
            body = await reader.readexactly(int(length))
        self.asked.append(head + body)
        writer.write(OK + b"\r\nok")
        writer.close()


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        ((b"content-length", b"14"), b'{"file_id": 1}'),
        ((b"transfer-encoding", b"chunked"), b'e\r\n{"file_id": 1}\r\n0\r\n\r\n'),
    ],
    ids=["of known length", "chunked"],
)
def test_the_body_of_a_preview_is_passed_on_with_the_same_framing(
    tmp_path: Path, framing: tuple[bytes, bytes], sent: bytes
) -> None:
    async def asked() -> list[bytes]:
        renders, peers = Renders(), Peers(b"", [b'{"file_id"', b": 1}", b""], None)
        async with await asyncio.start_unix_server(renders.answer, tmp_path / "render"):
            scope = scope_of("POST", [(b"host", b"x"), framing], PREVIEW)
            await front_of(tmp_path / "uwsgi")(scope, peers.receive, peers.send)
        return renders.asked

    [found] = asyncio.run(asked())

    assert b": ".join(framing) + b"\r\n" in found.lower()
    assert found.endswith(b"\r\n\r\n" + sent)


def test_a_preview_whose_body_has_not_arrived_takes_no_place_of_another_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RENDERS", 1)
    monkeypatch.setattr(app, "WAIT_SECONDS", 0)
    slow, quick = Peers(b"", [b"{"], None), Peers(b"", [], None)
    arriving = asyncio.Event()

    async def receive() -> Message:
        message = await slow.receive()
        arriving.set()
        return message

    async def both() -> None:
        front = front_of(tmp_path / "uwsgi")
        async with await asyncio.start_unix_server(Renders().answer, tmp_path / "render"), asyncio.TaskGroup() as group:
            preview = scope_of("POST", [(b"host", b"x"), (b"content-length", b"14")], PREVIEW)
            waiting = group.create_task(front(preview, receive, slow.send))
            await arriving.wait()
            await front(scope_of("GET", [(b"host", b"x")], b"/img/a"), quick.receive, quick.send)
            waiting.cancel()

    asyncio.run(both())

    assert quick.sent[0]["status"] == 200
    assert slow.sent == []


def test_the_memory_of_a_body_is_free_while_a_slow_client_reads_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BUFFERED_BYTES_OF_AN_ADDRESS", MAX_BUFFERED)
    scope = scope_of("POST", [(b"host", b"x"), (b"transfer-encoding", b"chunked")], PREVIEW)
    slow, quick = (Peers(b"", [*LONG_JSON, b""], None) for _ in range(2))

    async def both() -> None:
        front = front_of(tmp_path / "uwsgi")

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await front(scope, quick.receive, quick.send)
            await slow.send(message)

        async with await asyncio.start_unix_server(Renders().answer, tmp_path / "render", limit=MAX_JSON_BODY_BYTES):
            await front(scope, slow.receive, send)

    asyncio.run(both())

    assert [slow.sent[0]["status"], quick.sent[0]["status"]] == [200, 200]


def leave_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give streams no place, for which nobody waits."""
    monkeypatch.setattr(app, "STREAMS", 0)
    monkeypatch.setattr(app, "WAIT_SECONDS", 0)


@pytest.mark.parametrize("target", [b"/api/file-server/lookup", b"/api/file-server/copies", b"/api/file-server/batch"])
def test_a_long_response_to_a_post_takes_a_place_of_a_stream(
    tmp_path: Path, target: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_no_stream(monkeypatch)
    headers, body = [(b"host", b"x"), (b"content-length", b"2")], [b"{}", b""]

    long = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", "POST", headers, body, target=target)
    short = exchanged(
        tmp_path, OK + b"Content-Length: 0\r\n\r\n", "POST", headers, body, target=b"/api/file-server/delete"
    )

    assert (long.status, long.asked) == (503, b"")
    assert short.status == 200


@pytest.mark.parametrize("service", [b"", b"file-server/", b"image-processing/"])
def test_a_description_of_the_api_takes_a_place_of_a_stream(
    tmp_path: Path, service: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no key, and is longer than the buffer of a socket."""
    leave_no_stream(monkeypatch)
    target = b"/api/" + service + b"openapi.json"

    exchange = exchanged(tmp_path, OK + b"Content-Length: 0\r\n\r\n", "GET", [(b"host", b"x")], [], target=target)

    assert (exchange.status, exchange.asked) == (503, b"")


def test_the_requests_of_pixmill_s_own_processes_take_no_place_of_a_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_no_stream(monkeypatch)
    statuses = []

    for secret in (INNER_SECRET, "another"):
        headers = [(b"host", b"x"), (b"content-length", b"2"), (b"authorization", f"Bearer {secret}".encode())]
        answer = OK + b"Content-Length: 0\r\n\r\n"
        exchange = exchanged(tmp_path, answer, "POST", headers, [b"{}", b""], target=b"/api/file-server/lookup")
        statuses.append(exchange.status)

    assert statuses == [200, 503]


def test_a_client_that_leaves_ends_its_request_to_the_render_service(tmp_path: Path) -> None:
    async def leaving() -> bytes:
        asked, closed = asyncio.Event(), asyncio.Event()

        async def render(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            nothing.append(await reader.read())
            closed.set()

        async def receive() -> Message:
            await asked.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError(f"nobody is there for {message}")

        nothing = list[bytes]()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/img/a",
            "raw_path": b"/img/a",
            "query_string": b"",
            "headers": [(b"host", b"x")],
            "client": ("192.0.2.7", 1),
            "state": {},
        }
        async with await asyncio.start_unix_server(render, tmp_path / "render"):
            await front_of(tmp_path / "uwsgi")(scope, receive, send)
            await closed.wait()
        return nothing[0]

    assert asyncio.run(leaving()) == b""
