"""The drivers: redirects, closed streams, and operations whose caller stops early."""

import asyncio
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl

import pytest
from pixmill.client.drivers import PIECE, AsyncDriver, Connection, StoppedError, SyncDriver, without_login
from pixmill.client.exchange import Call, Operation, Pause, once, work

from pixmill import AsyncPixmill, Pixmill, RedirectedError, Retries, TaskEvent, UnreachableError
from tests.support.answering import answering
from tests.support.web_server import WebServer

FEW = Retries(attempts=3, first_seconds=0.001)
ENOUGH = 10
"""After this many streams without an event, the server sends one, so that a client without an end fails."""
EVENT = b'event: task\ndata: {"id": 1, "status": "finished"}\n\n'
CONNECTION = Connection("http://127.0.0.1:1", {}, 1, verify=True)


class Web(WebServer):
    """A web server that redirects ``/moved`` and closes each event stream."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, str, bytes]] = []

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path, body))
        self.send_response(301 if path == "/moved" else 200)
        content = b"{}"
        if path == "/moved":
            self.send_header("Location", f"{self.server.url}/new")
        if path.endswith("/events"):
            content = EVENT if len(self.server.requests) > ENOUGH else b""
            self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def request(url: str, method: str) -> None:
    with Pixmill(url, retries=FEW) as px:
        px.request(method, "/moved", body=None if method == "GET" else b"body")


def request_asynchronously(url: str, method: str) -> None:
    async def sent() -> None:
        async with AsyncPixmill(url, retries=FEW) as px:
            await px.request(method, "/moved", body=None if method == "GET" else b"body")

    asyncio.run(sent())


def next_event(url: str) -> TaskEvent:
    with Pixmill(url, retries=FEW) as px:
        return next(px.events())


def next_event_asynchronously(url: str) -> TaskEvent:
    async def received() -> TaskEvent:
        async with AsyncPixmill(url, retries=FEW) as px:
            return await anext(px.events())

    return asyncio.run(received())


REQUESTS = [request, request_asynchronously]


@pytest.mark.parametrize("send", REQUESTS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_redirect_of_a_change_is_an_error_with_the_new_address(
    web: Web, send: Callable[[str, str], None], method: str
) -> None:
    with pytest.raises(RedirectedError, match=f"{web.url}/new") as error:
        send(web.url, method)

    assert error.value.location == f"{web.url}/new"
    assert web.requests == [(method, "/moved", b"body")]


@pytest.mark.parametrize("send", REQUESTS)
def test_a_redirect_of_a_read_is_followed(web: Web, send: Callable[[str, str], None]) -> None:
    send(web.url, "GET")

    assert web.lines == [("GET", "/moved"), ("GET", "/new")]


@pytest.mark.parametrize("receive", [next_event, next_event_asynchronously])
def test_a_stream_that_the_server_closes_at_once_is_tried_as_often_as_one_that_breaks(
    web: Web, receive: Callable[[str], TaskEvent]
) -> None:
    with pytest.raises(UnreachableError, match="closed the event stream"):
        receive(web.url)

    assert len(web.requests) == FEW.attempts


def received(url: str, note: Callable[[], None]) -> TaskEvent:
    with Pixmill(url, retries=Retries(attempts=2 * ENOUGH, first_seconds=0.001)) as px:
        return next(px.events(on_open=note))


def received_asynchronously(url: str, note: Callable[[], None]) -> TaskEvent:
    async def noted() -> None:
        note()

    async def first() -> TaskEvent:
        async with AsyncPixmill(url, retries=Retries(attempts=2 * ENOUGH, first_seconds=0.001)) as px:
            return await anext(px.events(on_open=noted))

    return asyncio.run(first())


@pytest.mark.parametrize("receive", [received, received_asynchronously])
def test_each_opening_of_a_stream_is_reported_before_its_events(
    web: Web, receive: Callable[[str, Callable[[], None]], TaskEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the random factor, the pauses between attempts take no time.
    monkeypatch.setattr("random.uniform", lambda _least, _most: 0.0)
    openings: list[int] = []

    receive(web.url, lambda: openings.append(len(web.requests)))

    assert openings == list(range(1, ENOUGH + 2))


def test_an_interrupt_stops_the_other_operations_before_their_next_step() -> None:
    waits, went_on = threading.Event(), []

    def interrupted() -> Operation[None]:
        yield from work(waits.wait)
        raise KeyboardInterrupt

    def other() -> Operation[None]:
        yield from work(waits.set)
        yield Pause(20)
        went_on.append("other")

    driver = SyncDriver(CONNECTION)
    with pytest.raises(KeyboardInterrupt):
        list(driver.each(iter([interrupted(), other(), other(), other()]), parallel=2))

    assert went_on == []


def test_a_caller_that_needs_no_more_results_stops_the_other_operations() -> None:
    went_on = []

    def first() -> Operation[str]:
        yield Pause(0)
        return "first"

    def other() -> Operation[str]:
        yield Pause(20)
        went_on.append("other")
        return "other"

    results = SyncDriver(CONNECTION).each(iter([first(), other()]), parallel=2)
    assert next(results) == "first"
    del results

    assert went_on == []


def test_an_interrupt_stops_a_body_before_its_next_chunk(web: Web) -> None:
    stop, sent = threading.Event(), []

    def note(size: int) -> None:
        sent.append(size)
        stop.set()

    driver = SyncDriver(Connection(web.url, {}, 5, verify=True))
    call = Call("PUT", "/", (), {}, bytes(3 * PIECE), on_sent=note)
    with pytest.raises(StoppedError):
        driver.run(once(call), stop)

    assert sent == [PIECE]


def test_an_interrupt_stops_a_body_of_which_nobody_counts_the_chunks() -> None:
    stop = threading.Event()
    reached: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def read_the_head() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                stop.set()
                reached.extend(iter(lambda: connection.recv(2**20), b""))

        thread = threading.Thread(target=read_the_head)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        # The kernel takes some megabytes that the server has not read.
        call = Call("POST", "/", (), {}, bytes(400 * PIECE))
        driver = SyncDriver(Connection(url, {}, 60, verify=True))
        with pytest.raises(StoppedError):
            driver.run(once(call), stop)
        driver.close()
        thread.join()

    assert sum(map(len, reached)) < 400 * PIECE


SENT_QUERIES = [
    ("/api/file-server/?name=x", (), [("name", "x")]),
    ("/api/file-server/?name=x", [("limit", "1"), ("name", "y")], [("name", "x"), ("limit", "1"), ("name", "y")]),
    ("/api/file-server/", [("q", "é &=+ %2F#?")], [("q", "é &=+ %2F#?")]),
    ("/api/file-server/", (), []),
]


@pytest.mark.parametrize(("path", "query", "received"), SENT_QUERIES)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_query_in_the_path_is_sent_with_the_given_one(
    path: str, query: Sequence[tuple[str, str]], received: list[tuple[str, str]], *, is_async: bool
) -> None:
    async def asynchronously(url: str) -> None:
        async with AsyncPixmill(url, retries=FEW) as px:
            await px.request("GET", path, query=query)

    with answering() as fake_server:
        if is_async:
            asyncio.run(asynchronously(fake_server.url))
        else:
            with Pixmill(fake_server.url, retries=FEW) as px:
                px.request("GET", path, query=query)

    assert [parse_qsl(sent) for sent in fake_server.queries] == [received]


def test_after_a_cancellation_no_operation_is_running() -> None:
    begun, ended = [], []

    def lasting(number: int) -> Operation[int]:
        begun.append(number)
        try:
            yield Pause(20)
        finally:
            ended.append(number)
        return number

    async def cancelled() -> None:
        driver = AsyncDriver(CONNECTION)

        async def used() -> None:
            async for _ in driver.each((lasting(number) for number in range(9)), parallel=3):
                pass

        task = asyncio.create_task(used())
        while len(begun) < 3:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert sorted(ended) == begun

    asyncio.run(cancelled())

    assert begun == [0, 1, 2]


def test_after_a_caller_has_left_no_operation_is_running() -> None:
    begun, ended = [], []

    def first() -> Operation[int]:
        yield Pause(0)
        return 0

    def lasting(number: int) -> Operation[int]:
        begun.append(number)
        try:
            yield Pause(20)
        finally:
            ended.append(number)
        return number

    async def left() -> None:
        results = AsyncDriver(CONNECTION).each(iter([first(), lasting(1), lasting(2)]), parallel=3)
        assert await anext(results) == 0
        await results.aclose()
        assert sorted(ended) == begun == [1, 2]

    asyncio.run(left())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:pass%20word@127.0.0.1:1/a@b", "http://127.0.0.1:1/a@b"),
        ("HTTPS://me@[::1]:8080", "HTTPS://[::1]:8080"),
        ("me:p@ss@host", "host"),
        ("http://[me:word@host", "http://host"),
        ("http://host/~a@b?c=d@e", "http://host/~a@b?c=d@e"),
        ("http://host:80/~a@b", "http://host:80/~a@b"),
        ("http://me:p/word@host", "http://host"),
        ("http://me:p#word@host", "http://host"),
        ("http://me:p?word@host", "http://host"),
        ("http://me:/word@host", "http://host"),
        ("http://me:99999/word@host", "http://host"),
        ("http:/me:word@host", "host"),
        ("http:///me:word@host", "http://host"),
        (" http://me:word@host", "host"),
        ("'http://me:word@host", "host"),
        ("me:p/word@host", "host"),
        ("127.0.0.1:8080/files", "127.0.0.1:8080/files"),
    ],
)
def test_a_login_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert without_login(url) == shown


def test_the_error_of_a_server_that_is_away_has_no_password() -> None:
    server = Pixmill("http://me:word@127.0.0.1:1", retries=Retries(attempts=1))
    with server as px, pytest.raises(UnreachableError) as caught:
        px.files.get(1)

    assert caught.value.server == "http://127.0.0.1:1"


def send(url: str) -> None:
    with Pixmill(url, retries=FEW) as px:
        px.files.get(1)


def send_asynchronously(url: str) -> None:
    async def sent() -> None:
        async with AsyncPixmill(url, retries=FEW) as px:
            await px.files.get(1)

    asyncio.run(sent())


@pytest.mark.parametrize("call", [send, send_asynchronously, next_event, next_event_asynchronously])
@pytest.mark.parametrize("password", ["secret/word", "secret#word", "secret?word"])
def test_the_error_of_a_url_that_is_not_valid_has_no_part_of_the_password(
    call: Callable[[str], object], password: str
) -> None:
    with pytest.raises(UnreachableError, match="not a URL") as caught:
        call(f"http://me:{password}@host")

    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_the_error_of_a_url_without_a_login_names_what_is_not_valid() -> None:
    with pytest.raises(UnreachableError, match=r"this is not a URL: .*'word'"):
        send("http://host:word")
