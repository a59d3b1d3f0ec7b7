"""Drivers run operations over HTTP, synchronously and asynchronously."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from ssl import SSLContext
from threading import Event
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

from pixmill.client.exchange import Call, Effect, Operation, Pause, Reply
from pixmill.client.feed import Stream
from pixmill.client.problems import UnreachableError

if TYPE_CHECKING:
    # Imported by the first driver, because `pixmill --help` and usage errors need no HTTP.
    import httpx2

T = TypeVar("T")

PIECE = 256 * 1024
"""Bytes per chunk, sent or received."""
SILENCE_SECONDS = 45
"""Read timeout of an event stream, which sends something every 15 seconds."""
FOLLOWED = frozenset({"GET", "HEAD"})
"""Methods whose redirects are followed; a redirect may turn a request of another method into a GET without a body."""

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
LOGIN = re.compile(r"[^/?#]*@")
"""The part of a URL between its scheme and its host."""

Page = tuple[list[T], Call | None]
"""The rows of a page, and the call for the next one."""


@dataclass(frozen=True)
class Connection:
    """The connection settings.

    :param headers: sent with every request.
    :param timeout_seconds: for each step of a request: connecting, sending a chunk, receiving a chunk.
    :param verify: the trusted certificates.
    """

    url: str
    headers: dict[str, str]
    timeout_seconds: float
    verify: SSLContext | bool

    @property
    def server(self) -> str:
        """The URL without a user's name and password, for messages."""
        return without_login(self.url)

    def address(self, call: Call) -> str:
        """Return the URL of a call: its path may already have a query, which the HTTP library would replace."""
        address = self.url.rstrip("/") + call.path
        if not call.query:
            return address
        return f"{address}{'&' if '?' in call.path else '?'}{urlencode(call.query)}"

    def head(self, call: Call) -> dict[str, str]:
        length = {} if call.body is None else {"Content-Length": str(len(call.body))}
        return {**self.headers, **length, **call.headers}


def without_login(url: str) -> str:
    """Return a URL without the name and the password of a user, also if it is otherwise not valid."""
    found = SCHEME.match(url)
    scheme = found.group() if found else ""
    rest = url.removeprefix(scheme)
    if scheme and _has_host(url):
        login = LOGIN.match(rest)
        return scheme + (rest[login.end() :] if login else rest)
    # What looks like a path may belong to the password, such as one with an unescaped slash.
    return scheme + rest.rpartition("@")[2]


def _has_host(url: str) -> bool:
    """Return whether a URL has a host, and a valid port or none."""
    try:
        parts = urlsplit(url)
        # Without digits after its colon, a port is valid, but a password could begin there.
        is_complete = parts.port is not None or not parts.netloc.endswith(":")
    except ValueError:
        return False
    return bool(parts.hostname) and is_complete


class StoppedError(Exception):
    """The caller no longer waits for the result of an operation."""


class SyncDriver:
    """Runs operations synchronously; threads may share a driver."""

    def __init__(self, connection: Connection) -> None:
        import httpx2

        self._connection = connection
        self._http = httpx2.Client(timeout=connection.timeout_seconds, verify=connection.verify, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def run(self, operation: Operation[T], stop: Event | None = None) -> T:
        """Return the result of an operation.

        :param stop: ends the operation before its next request, and a body of chunks before its next chunk.
        """
        stop = stop or Event()
        with closing(operation):
            effect = _started(operation)
            while not isinstance(effect, _Done):
                try:
                    reply = self._done(effect, stop)
                except Exception as error:  # noqa: BLE001 (the operation decides, and raises it again)
                    effect = _thrown(operation, error)
                else:
                    effect = _sent(operation, reply)
            return effect.result

    def pages(self, first: Call, page: Callable[[Call], Operation[Page[T]]]) -> Iterator[list[T]]:
        """Yield the pages of a list."""
        following: Call | None = first
        while following is not None:
            rows, following = self.run(page(following))
            yield rows

    def each(self, operations: Iterator[Operation[T]], parallel: int) -> Iterator[T]:
        """Yield the results of operations in their order; at most ``parallel`` run at a time.

        If the caller stops early, for example after Ctrl-C, the running operations stop, too.
        """
        stop = Event()
        with ThreadPoolExecutor(parallel) as pool:
            running: deque[Future[T]] = deque()
            try:
                running.extend(pool.submit(self.run, following, stop) for following in islice(operations, parallel + 1))
                while running:
                    result = running.popleft().result()
                    running.extend(pool.submit(self.run, following, stop) for following in islice(operations, 1))
                    yield result
            finally:
                # The pool waits for its threads.
                stop.set()
                for left in running:
                    left.cancel()

    def follow(self, feed: Stream[T], on_open: Callable[[], None] | None = None) -> Iterator[T]:
        """Yield the events of a feed.

        :param on_open: called whenever the stream has been opened, before its first event.
        """
        import httpx2

        while not feed.has_ended:
            try:
                call = feed.call()
                timeout = httpx2.Timeout(self._connection.timeout_seconds, read=SILENCE_SECONDS)
                address, head = self._connection.address(call), self._connection.head(call)
                with (
                    _as_unreachable(self._connection),
                    self._http.stream(
                        "GET",
                        address,
                        headers=head,
                        timeout=timeout,
                        follow_redirects=True,
                    ) as got,
                ):
                    feed.opened(_head(got) if got.is_success else _reply(got, got.read()))
                    if on_open is not None:
                        on_open()
                    for line in got.iter_lines():
                        yield from feed.line(line)
                        if feed.wants_states:
                            yield from self.run(feed.states())
                        if feed.has_ended:
                            return
                    raise _stream_closed()
            except UnreachableError as error:
                time.sleep(feed.lost(error))

    def _done(self, effect: Effect, stop: Event) -> Reply | None:
        _check(stop)
        if isinstance(effect, Call):
            return self._exchange(effect, stop)
        if isinstance(effect, Pause):
            stop.wait(effect.seconds)
            _check(stop)
        else:
            effect.work()
        return None

    def _exchange(self, call: Call, stop: Event) -> Reply:
        content = _pieces(call, stop) if _is_in_chunks(call) else call.body
        with (
            _as_unreachable(self._connection),
            self._http.stream(
                call.method,
                self._connection.address(call),
                headers=self._connection.head(call),
                content=content,
                follow_redirects=call.method in FOLLOWED,
            ) as got,
        ):
            head = _head(got)
            if call.sink is None or not call.sink.begin(head):
                return _reply(got, got.read())
            for piece in got.iter_raw(PIECE):
                _check(stop)
                call.sink.write(piece)
            return head


class AsyncDriver:
    """Runs operations on an event loop."""

    def __init__(self, connection: Connection) -> None:
        import httpx2

        self._connection = connection
        self._http = httpx2.AsyncClient(timeout=connection.timeout_seconds, verify=connection.verify, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, operation: Operation[T]) -> T:
        """Return the result of an operation."""
        with closing(operation):
            effect = _started(operation)
            while not isinstance(effect, _Done):
                try:
                    reply = await self._done(effect)
                except Exception as error:  # noqa: BLE001 (the operation decides, and raises it again)
                    effect = _thrown(operation, error)
                else:
                    effect = _sent(operation, reply)
            return effect.result

    async def pages(self, first: Call, page: Callable[[Call], Operation[Page[T]]]) -> AsyncIterator[list[T]]:
        """Yield the pages of a list."""
        following: Call | None = first
        while following is not None:
            rows, following = await self.run(page(following))
            yield rows

    async def each(self, operations: Iterator[Operation[T]], parallel: int) -> AsyncGenerator[T, None]:
        """Yield the results of operations in their order; at most ``parallel`` run at a time."""
        running: deque[asyncio.Task[T]] = deque()
        try:
            running.extend(asyncio.ensure_future(self.run(following)) for following in islice(operations, parallel))
            while running:
                result = await running.popleft()
                running.extend(asyncio.ensure_future(self.run(following)) for following in islice(operations, 1))
                yield result
        finally:
            for left in running:
                left.cancel()
            # When the caller goes on, no request is running.
            await asyncio.gather(*running, return_exceptions=True)

    async def follow(self, feed: Stream[T], on_open: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[T]:
        """Yield the events of a feed.

        :param on_open: called whenever the stream has been opened, before its first event.
        """
        import httpx2

        while not feed.has_ended:
            try:
                call = feed.call()
                timeout = httpx2.Timeout(self._connection.timeout_seconds, read=SILENCE_SECONDS)
                address, head = self._connection.address(call), self._connection.head(call)
                with _as_unreachable(self._connection):
                    async with self._http.stream(
                        "GET",
                        address,
                        headers=head,
                        timeout=timeout,
                        follow_redirects=True,
                    ) as got:
                        feed.opened(_head(got) if got.is_success else _reply(got, await got.aread()))
                        if on_open is not None:
                            await on_open()
                        async for line in got.aiter_lines():
                            for event in feed.line(line):
                                yield event
                            if feed.wants_states:
                                for event in await self.run(feed.states()):
                                    yield event
                            if feed.has_ended:
                                return
                        raise _stream_closed()
            except UnreachableError as error:
                await asyncio.sleep(feed.lost(error))

    async def _done(self, effect: Effect) -> Reply | None:
        if isinstance(effect, Call):
            return await self._exchange(effect)
        if isinstance(effect, Pause):
            await asyncio.sleep(effect.seconds)
        else:
            await asyncio.to_thread(effect.work)
        return None

    async def _exchange(self, call: Call) -> Reply:
        content = _async_pieces(call) if _is_in_chunks(call) else call.body
        with _as_unreachable(self._connection):
            async with self._http.stream(
                call.method,
                self._connection.address(call),
                headers=self._connection.head(call),
                content=content,
                follow_redirects=call.method in FOLLOWED,
            ) as got:
                head = _head(got)
                if call.sink is None or not call.sink.begin(head):
                    return _reply(got, await got.aread())
                async for piece in got.aiter_raw(PIECE):
                    call.sink.write(piece)
                return head


@dataclass(frozen=True)
class _Done(Generic[T]):
    """Signals the end of an operation."""

    result: T


def _started(operation: Operation[T]) -> Effect | _Done[T]:
    return _step(lambda: next(operation))


def _sent(operation: Operation[T], reply: Reply | None) -> Effect | _Done[T]:
    return _step(lambda: operation.send(reply))


def _thrown(operation: Operation[T], error: Exception) -> Effect | _Done[T]:
    return _step(lambda: operation.throw(error))


def _step(advance: Callable[[], Effect]) -> Effect | _Done[T]:
    try:
        return advance()
    except StopIteration as end:
        return _Done(end.value)


def _head(got: "httpx2.Response") -> Reply:
    return _reply(got, b"")


def _reply(got: "httpx2.Response", body: bytes) -> Reply:
    headers = {name.lower(): value for name, value in got.headers.items()}
    return Reply(got.status_code, headers, body, got.reason_phrase)


def _check(stop: Event) -> None:
    if stop.is_set():
        raise StoppedError


def _stream_closed() -> UnreachableError:
    return UnreachableError("the server closed the event stream")


def _is_in_chunks(call: Call) -> bool:
    """Return whether the caller learns how much of a body was sent, or may stop before it is sent completely."""
    return call.body is not None and (call.on_sent is not None or len(call.body) > PIECE)


def _pieces(call: Call, stop: Event) -> Iterator[bytes]:
    body = memoryview(call.body or b"")
    for start in range(0, len(body), PIECE):
        _check(stop)
        piece = bytes(body[start : start + PIECE])
        yield piece
        if call.on_sent is not None:
            call.on_sent(len(piece))


async def _async_pieces(call: Call) -> AsyncIterator[bytes]:
    for piece in _pieces(call, Event()):
        yield piece


@contextmanager
def _as_unreachable(connection: Connection) -> Iterator[None]:
    """Turn the errors of httpx2 into :class:`UnreachableError`."""
    import httpx2

    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
        raise UnreachableError(str(error) or type(error).__name__, sent=False, server=connection.server) from error
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise UnreachableError(str(error) or type(error).__name__, server=connection.server) from error
    except httpx2.InvalidURL as error:
        if "@" in connection.url:
            # The library's text may quote a part of the password as the port, and a traceback would show it.
            raise UnreachableError(
                "this is not a URL; percent-encode special characters in the user's name and password", sent=False
            ) from None
        raise UnreachableError(f"this is not a URL: {error}", sent=False) from error
