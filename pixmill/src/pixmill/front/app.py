"""The front's ASGI application: serves event streams, sends files, and forwards all other requests.

Image requests by URL go to the render service, all others to uWSGI.
"""

import asyncio
import os
import re
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

import httpcore2
import structlog
from file_storage.events import create_app as create_file_events
from image_processor.events import create_app as create_task_events
from image_processor.render.config import RenderSettings
from image_processor.render.paths import RenderPaths
from service_kit import front_headers, secrets
from service_kit.access.bearer import bearer_token, name_of
from service_kit.access.config import AccessSettings
from service_kit.access.cors import Cors
from service_kit.access.guard import SAFE_METHODS, host_check
from service_kit.front_headers import PEER, REAL_IP
from service_kit.problems import Problem
from service_kit.settings import load_or_exit
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pixmill.front.client import (
    BUFFER_SECONDS,
    UNCOUNTED_BYTES,
    BodyStoppedError,
    Client,
    ClientGoneError,
    IncompleteResponseError,
    MemoryFullError,
    with_date,
)
from pixmill.front.encodings import with_one_encoding
from pixmill.front.framing import check_framing, in_origin_form
from pixmill.front.limits import (
    BUFFERED_BYTES,
    BUFFERED_BYTES_OF_AN_ADDRESS,
    RENDERS,
    RENDERS_OF_AN_ADDRESS,
    STREAMS,
    STREAMS_OF_AN_ADDRESS,
    WAIT_SECONDS,
    Limit,
    connection_limit,
    listener_limit,
)

log = structlog.get_logger()

MAX_CONCURRENT_REQUESTS = 96
"""Maximum number of requests that wait for uWSGI to respond; its threads and queue (``listen``, 100) hold them."""
RENDER_START_SECONDS = 30
"""How long requests wait for the render service, which starts at the same time as the front."""
MAX_JSON_BODY_BYTES = 3 * 1024 * 1024
"""Maximum size of a body without files, as in nginx; above the services' limit of 2 MiB, so that they send the refusal.

The front buffers such a body until it is complete: the deadline of uWSGI's requests, which ends a process, would count
the time of a slow client.
"""
SEND_BYTES = 256 * 1024
"""Bytes per chunk when sending a file."""

JSON_LIMIT = 2 * 1024 * 1024
"""The limit that refusals name: that of the services (``service_kit.request_body``)."""
MAX_BUFFERED = 256 * 1024
"""The front buffers this many bytes of an upload before it occupies a thread of uWSGI. Longer ones are streamed."""

EVENTS = re.compile(r"(/api/[a-z-]+)/events/?")
_UPLOAD = re.compile(r"POST /api/file-server(/batch)?/?|PUT /api/file-server(/[^/]*)?/?")
"""As ``$is_upload`` in nginx."""
_WITHOUT_KEY = re.compile(r"POST /api/(session|file-server/shared/.+/unlock)/?")
"""Operations for clients without a key, with a decoded path: a longer body is refused before it arrives."""
_RESUMABLE = re.compile(r"/api/file-server/uploads(/.*)?")
"""Not buffered, so that file-storage keeps the received bytes when a connection breaks."""
LONG_RESPONSE = re.compile(
    r"GET /api/file-server(/archive|/shared/[^/]+(/archive)?|/index|/trash|/folders|/links)?/?"
    r"|POST /api/file-server/(batch|copies|lookup|archive)/?"
    r"|GET /api/image-processing(/presets|/algorithms|/catalog)?/?"
    r"|GET /api/(keys|owners)/?"
    r"|GET /api/(file-server/|image-processing/)?openapi\.json"
)
"""uWSGI sends these responses at the client's speed; what has no pages is longer than the socket's buffer."""

_OF_A_SERVICE = re.compile(rb"/api/|/(healthz|readyz)$")
"""Paths of requests that a service answers. All others are for the page, which uWSGI itself sends, to any Host."""

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade expect x-sendfile".split()
)
"""Headers that are not forwarded: hop-by-hop headers (RFC 9110, 7.6.1), and X-Sendfile from uWSGI to the front."""
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
"""Headers of a request that has a body (RFC 9112, 6)."""
_OURS = frozenset(name.lower().encode() for name in front_headers.ALL)
_NO_OPTIONS = frozenset(b"host content-length transfer-encoding forwarded".split())
"""Headers that Connection cannot remove: the message's framing and target, and a mark of a proxy in front.

X-Forwarded-* cannot be removed either. Without these marks, the request of a stranger would look like one from this
machine.
"""
_FIRST_BYTE = re.compile(rb"bytes (\d+)-")


def create_app() -> "Front":
    """Return the application; ``PIXMILL_SOCKET`` and ``PIXMILL_RENDER_SOCKET`` are paths of Unix sockets."""
    render = RenderClient(Path(os.environ["PIXMILL_RENDER_SOCKET"]), RenderPaths(load_or_exit(RenderSettings)))
    listeners = listener_limit(connection_limit().total)
    events = {"/api/file-server": create_file_events(), "/api/image-processing": create_task_events()}
    access = load_or_exit(AccessSettings)
    check = host_check(access.auth.mode, access.http.hosts)
    cors = Cors(access.http.cors_origins)
    inner = {name: secret for name in secrets.INNER if (secret := secrets.find(name))}
    return Front(Path(os.environ["PIXMILL_SOCKET"]), events, render, listeners, cors, check, inner)


class RenderClient:
    """A client of the render service.

    :param socket: its Unix socket.
    :param paths: recognizes requests for the render service.
    """

    def __init__(self, socket: Path, paths: RenderPaths) -> None:
        self._http = httpcore2.AsyncConnectionPool(uds=str(socket), max_connections=None)
        self._paths = paths
        self._started = time.monotonic()

    def has(self, request: Scope) -> bool:
        """Return whether the request is for the render service."""
        host = dict(request["headers"]).get(b"host", b"").decode("latin-1")
        return self._paths.has(request["raw_path"].decode("latin-1"), host)

    async def pass_on(self, client: Client, request: Scope) -> None:
        """Forward a request whose body has arrived; if the client disconnects, close the connection to the service.

        :raises ClientGoneError: the client has disconnected.
        """
        body = client.body() if _has_body(request) else None
        asking = asyncio.create_task(self._ask(_request_for(b"render", request, body)))
        leaving = asyncio.create_task(client.gone())
        try:
            await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ClientGoneError
            response = asking.result()
        finally:
            leaving.cancel()
            if not asking.done():
                # Closing this connection signals the disconnect to the service.
                asking.cancel()
        try:
            await client.answer(response.status, _end_to_end(response.headers), _bytes_of_response(response))
        finally:
            await response.aclose()

    async def _ask(self, request: httpcore2.Request) -> httpcore2.Response:
        while True:
            try:
                return await self._http.handle_async_request(request)
            except httpcore2.ConnectError:
                if time.monotonic() > self._started + RENDER_START_SECONDS:
                    raise
            await asyncio.sleep(0.1)


class Front:
    """Forwards requests to uWSGI.

    :param socket: uWSGI's Unix socket.
    :param events: serves the event stream of each service, by path; in uWSGI each listener would occupy a thread.
    :param render: serves images by URL.
    :param listeners: the limit of event stream clients.
    :param cors: chooses the origins whose pages may read the front's own refusals.
    :param check_host: raises a problem if the server does not answer for a Host; the services check their own requests.
    :param inner_secrets: those of Pixmill's own processes, whose requests count towards no limit of an address.
    """

    def __init__(
        self,
        socket: Path,
        events: Mapping[str, ASGIApp],
        render: RenderClient,
        listeners: Limit,
        cors: Cors,
        check_host: Callable[[str], None],
        inner_secrets: Mapping[str, str] | None = None,
    ) -> None:
        # uWSGI closes each connection after a request.
        self._uwsgi = httpcore2.AsyncConnectionPool(uds=str(socket), max_connections=None, max_keepalive_connections=0)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._events = events
        self._render = render
        self._listeners = listeners
        self._cors = cors
        self._check_host = check_host
        self._inner_secrets = inner_secrets or {}
        self._streams = Limit(STREAMS, STREAMS_OF_AN_ADDRESS)
        self._renders = Limit(RENDERS, RENDERS_OF_AN_ADDRESS)
        self._memory = Limit(BUFFERED_BYTES, BUFFERED_BYTES_OF_AN_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = with_date(send)
        client = Client(scope, receive, send, self._memory)
        try:
            check_framing(scope)
            request = _without_unused_body(_without_claims(in_origin_form(scope), client))
            if events := self._events_at(request["path"]):
                async with self._listeners.held(client.address):
                    client.has_response = True
                    await events(request, receive, send)
            elif self._render.has(request):
                # Before it takes a place, which a slow body would hold.
                if _has_body(request):
                    await _receive_json(client, request)
                async with self._renders.held(client.address, WAIT_SECONDS):
                    await self._render.pass_on(client, request)
            else:
                await self._ask_uwsgi(client, request)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 (uvicorn would respond with plain text)
            problem = _problem_of(error)
            if not client.has_response:
                await client.refuse(problem, self._cors)
        finally:
            client.drop_buffer()
        # Outside of the limits: a client that still sends a refused body takes no place of another.
        await client.linger()

    async def _ask_uwsgi(self, client: Client, request: Scope) -> None:
        if not _OF_A_SERVICE.match(request["raw_path"]):
            self._check_host(dict(request["headers"]).get(b"host", b"localhost").decode("latin-1"))
        if await _is_stream(client, request) and not self._is_inner(request):
            async with self._streams.held(client.address, WAIT_SECONDS):
                await self._pass_on(client, request)
        else:
            await self._pass_on(client, request)

    def _is_inner(self, request: Scope) -> bool:
        return name_of(bearer_token(Headers(scope=request)), self._inner_secrets) is not None

    def _events_at(self, path: str) -> ASGIApp | None:
        found = EVENTS.fullmatch(path)
        return self._events.get(found[1]) if found else None

    async def _pass_on(self, client: Client, request: Scope) -> None:
        async with self._slots:
            request = {**request, "headers": with_one_encoding(request["headers"])}
            body = _BodyUntilAnswer(client) if _has_body(request) else None
            asking = _request_for(b"uwsgi", request, body)
            if body is not None:
                asking.extensions["trace"] = body.trace
            response = await self._uwsgi.handle_async_request(asking)
        try:
            headers = {name.lower(): value for name, value in response.headers}
            pieces = _bytes_of_file(headers) if b"x-sendfile" in headers else _bytes_of_response(response)
            await client.answer(response.status, _end_to_end(response.headers), pieces)
        finally:
            await response.aclose()


class _BodyUntilAnswer:
    """The client's body for uWSGI, which ends when uWSGI answers: a refusal need not wait for a slow client.

    httpcore reads the response after the body, or after a ``WriteError``.
    """

    _socket: socket.socket
    """The connection to uWSGI; httpcore opens it before it reads the body."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Learn the socket of the connection; httpcore calls this at each step of a request (``trace`` extension)."""
        stream = info.get("return_value")
        if event == "connection.connect_unix_socket.complete" and isinstance(stream, httpcore2.AsyncNetworkStream):
            self._socket = stream.get_extra_info("socket")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(self._socket)
            self._client.stop_body()

        loop.add_reader(self._socket, stop)
        try:
            async for piece in self._client.body():
                yield piece
        except BodyStoppedError as error:
            raise httpcore2.WriteError from error
        finally:
            # Before httpcore itself waits for the response.
            loop.remove_reader(self._socket)


async def _is_stream(client: Client, request: Scope) -> bool:
    """Receive the body unless it may be long, and return whether a uWSGI thread then waits for the client's network.

    :raises Problem: as in :meth:`Client.buffer_body`; a body without files is too long (413), takes too long (408), or
        finds the memory full (503).
    """
    method, path = request["method"], request["path"]
    has_long_response = LONG_RESPONSE.fullmatch(f"{method} {path}") is not None
    if _RESUMABLE.fullmatch(path):
        return True
    if _UPLOAD.fullmatch(f"{method} {request['raw_path'].decode('latin-1')}"):
        return _declared_bytes(request) > MAX_BUFFERED or not await _arrives_soon(client) or has_long_response
    if _has_body(request):
        await _receive_json(client, request)
    elif not has_long_response:
        # A body that is not passed on: if it is short, the connection can stay open after the response.
        await _arrives_soon(client)
        client.drop_buffer()
    return has_long_response


async def _arrives_soon(client: Client) -> bool:
    try:
        return await client.buffer_body(MAX_BUFFERED)
    except (TimeoutError, MemoryFullError):
        return False


async def _receive_json(client: Client, request: Scope) -> None:
    longest, limit = MAX_JSON_BODY_BYTES, JSON_LIMIT
    if _WITHOUT_KEY.fullmatch(f"{request['method']} {request['path']}"):
        longest = limit = UNCOUNTED_BYTES
    try:
        if _declared_bytes(request) > longest or not await client.buffer_body(longest):
            detail = f"A JSON body may have at most {limit:,} bytes."
            raise Problem("body-too-large", 413, detail, context={"limit": limit})
    except TimeoutError as error:
        detail = f"The body did not arrive within {BUFFER_SECONDS} seconds; send less, or over a faster connection."
        raise Problem("request-timeout", 408, detail) from error
    except MemoryFullError as error:
        detail = "Too many bodies arrive at the same time, or too many from this address; try again."
        raise Problem("too-many-at-a-time", 503, detail, retry_after=5) from error


def _declared_bytes(request: Scope) -> int:
    return int(dict(request["headers"]).get(b"content-length", 0))


def _problem_of(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case httpcore2.NetworkError() | httpcore2.ProtocolError():
            log.warning("the service did not answer", reason=str(error) or type(error).__name__)
            return Problem("unavailable", 503, "The server is starting or stopping; try again.", retry_after=1)
        case _:
            log.error("unexpected error", exc_info=error)
            return Problem("internal-error", 500, "The server has failed; its log has the details.")


def _has_body(request: Scope) -> bool:
    return any(name in _FRAMING for name, _ in request["headers"])


def _request_for(service: bytes, request: Scope, body: AsyncIterable[bytes] | None) -> httpcore2.Request:
    target = request["raw_path"] + (b"?" + request["query_string"] if request["query_string"] else b"")
    names = {name for name, _ in request["headers"]}
    headers = [(name, value) for name, value in request["headers"] if name not in _HOP_BY_HOP]
    if b"host" not in names:
        headers.append((b"host", b"localhost"))
    if b"transfer-encoding" in names:
        headers.append((b"transfer-encoding", b"chunked"))
    url = httpcore2.URL(scheme=b"http", host=service, target=target)
    return httpcore2.Request(request["method"], url, headers=headers, content=body)


def _without_claims(request: Scope, client: Client) -> Scope:
    """Return the request with the client's address, and without headers that only a server in front may set.

    The options of the client's Connection remove only the client's own headers. uWSGI treats ``_`` in a name as ``-``,
    so ``Content_Length`` would become an unchecked Content-Length.
    """
    options = {
        option
        for option in _connection_options(request["headers"]) - _NO_OPTIONS
        if not option.startswith(b"x-forwarded-")
    }
    dropped = _OURS | options
    headers = [(name, value) for name, value in request["headers"] if name not in dropped and b"_" not in name]
    if client.address:
        headers += [(name.lower().encode(), client.address.encode()) for name in (REAL_IP, PEER)]
    return {**request, "headers": headers}


def _without_unused_body(request: Scope) -> Scope:
    """Return the request without the framing of a body that no service reads (RFC 9110, 9.3.1).

    uWSGI sends a response without content only when it is done with the request's body, so a slow one would hold its
    thread.
    """
    if request["method"] not in SAFE_METHODS:
        return request
    headers = [(name, value) for name, value in request["headers"] if name not in _FRAMING]
    return {**request, "headers": headers}


def _end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response without hop-by-hop headers."""
    dropped = _HOP_BY_HOP | _connection_options(headers)
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _connection_options(headers: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the names of headers that are for this connection only (RFC 9110, 7.6.1)."""
    options = (value.split(b",") for name, value in headers if name.lower() == b"connection")
    return frozenset(option.strip().lower() for values in options for option in values)


async def _bytes_of_response(response: httpcore2.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in response.aiter_stream():
            yield piece
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        # uWSGI has already logged the reason.
        raise IncompleteResponseError from error


async def _bytes_of_file(headers: Mapping[bytes, bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the file in X-Sendfile that Content-Length and Content-Range select."""
    path, left = unquote_to_bytes(headers[b"x-sendfile"]), int(headers[b"content-length"])
    found = _FIRST_BYTE.match(headers.get(b"content-range", b""))
    position = int(found[1]) if found else 0
    try:
        with await asyncio.to_thread(open, path, "rb") as file:
            while left:
                piece = await asyncio.to_thread(os.pread, file.fileno(), min(SEND_BYTES, left), position)
                if not piece:
                    raise EOFError("the file is shorter than its Content-Length")
                position, left = position + len(piece), left - len(piece)
                yield piece
    except (OSError, EOFError) as error:
        log.error("response broken off", reason=str(error))
        raise IncompleteResponseError from error
