"""Fetches pictures from allowed hosts at public addresses, and keeps them while they are fresh."""

import asyncio
import hashlib
import shutil
import ssl
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit
from uuid import uuid4

import httpcore2
from service_kit.errors import DomainError
from service_kit.texts import counted, reason_of, sentence, text_of

from image_processor.render.config import OriginSettings
from image_processor.render.failures import FILE_NOT_FOUND, ORIGIN_FAILED, ORIGIN_FORBIDDEN, ORIGIN_SLOW, too_large
from image_processor.render.sources.fetches import Fetch, Fetches
from image_processor.render.sources.freshness import HEADERS, Freshness, freshness_of
from image_processor.services.outbound import ForbiddenAddressError, public_http_pool

_PORTS = (None, 80, 443)
_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (404, 410)
_SAFE = "!#$%&'()*+,/:;=?@[]~"
"""Characters that are not percent-encoded: the reserved ones (RFC 3986, 2.2), the percent sign and the tilde."""
HEAD_BYTES = 64
"""How many of the first bytes are kept in memory: enough for the type of the file."""


class OriginFile:
    """A fetched file. It is deleted once nothing refers to this object, so that a render never misses its source.

    :ivar head: the first bytes of the file.
    """

    def __init__(self, path: Path, sha256: str, size: int, head: bytes) -> None:
        self.path = path
        self.sha256 = sha256
        self.size = size
        self.head = head
        weakref.finalize(self, path.unlink, missing_ok=True)


@dataclass(frozen=True)
class Fetched:
    """A file, and what its origin said of it.

    :param said: the headers of the response that a later one changes or repeats.
    """

    file: OriginFile
    freshness: Freshness
    said: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class _Reply:
    """The response of an origin.

    :param file: the fetched file; ``None`` if the kept file is still valid.
    :param received: the monotonic time of the response.
    """

    file: OriginFile | None
    said: Mapping[str, str]
    received: float


@dataclass(eq=False)
class _Flight:
    """A fetch that requests for the same URL share."""

    fetch: Fetch[_Reply]
    task: asyncio.Task[Fetched] = field(init=False)
    waiters: int = 0


class Origins:
    """Fetches and keeps files of origins.

    :param folder: the folder for kept files, which is emptied at the start.
    :param max_bytes: limit of the size of all kept files together.
    """

    def __init__(self, settings: OriginSettings, folder: Path, max_bytes: int) -> None:
        self._settings = settings
        self._folder = folder
        self._max_bytes = max_bytes
        self._pool = public_http_pool(settings.allow_networks, settings.timeout_seconds)
        self._kept: OrderedDict[str, Fetched] = OrderedDict()
        self._bytes = 0
        self._fetches = Fetches[_Reply](settings)
        self._flights: dict[str, _Flight] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def waiting(self) -> int:
        """Return the number of fetches that wait."""
        return self._fetches.waiting

    def close(self) -> None:
        """Start no further fetch."""
        self._fetches.close()

    def is_fresh(self, url: str) -> bool:
        """Return whether the bytes at a URL are known without asking the origin."""
        kept = self._kept.get(url)
        return kept is not None and kept.freshness.until > time.monotonic()

    async def fetch(self, url: str) -> Fetched:
        """Return the bytes at a URL. If all callers are cancelled, a waiting fetch is too.

        :raises DomainError: the host is not allowed; the origin fails, is slow or lacks the file; it is too large; or
            too many fetches wait.
        """
        host = self._judged(url).hostname or ""
        kept = self._kept.get(url)
        if kept is not None and not kept.file.path.exists():
            # An operator may empty the folder at any time.
            kept = None
        if kept is None or kept.freshness.until <= time.monotonic():
            flight = self._flights.get(url) or self._flight(url, host, kept)
            flight.waiters += 1
            try:
                kept = await asyncio.shield(flight.task)
            finally:
                flight.waiters -= 1
                if flight.waiters == 0 and flight.fetch.waits:
                    self._landed(url, flight)
                    flight.task.cancel()
        if url in self._kept:
            self._kept.move_to_end(url)
        return kept

    def _flight(self, url: str, host: str, kept: Fetched | None) -> _Flight:
        flight = self._flights[url] = _Flight(Fetch(host, partial(self._get, url, kept)))
        flight.task = asyncio.create_task(self._ask(url, kept, flight.fetch))

        def landed(done: "asyncio.Task[Fetched]") -> None:
            self._landed(url, flight)
            if not done.cancelled():
                # Mark the error as retrieved: the callers may have been cancelled.
                done.exception()

        flight.task.add_done_callback(landed)
        return flight

    def _landed(self, url: str, flight: _Flight) -> None:
        if self._flights.get(url) is flight:
            del self._flights[url]

    async def _ask(self, url: str, kept: Fetched | None, fetch: Fetch[_Reply]) -> Fetched:
        reply = await self._fetches.run(fetch)
        fresh = self._fetched(reply, kept)
        old = self._kept.pop(url, None)
        self._bytes -= old.file.size if old else 0
        if not fresh.freshness.is_kept:
            # Its file goes with the last render that needs it.
            return fresh
        self._bytes += fresh.file.size
        self._kept[url] = fresh
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.file.size
        return fresh

    def _fetched(self, reply: _Reply, kept: Fetched | None) -> Fetched:
        file, said = reply.file, reply.said
        if file is None:
            if kept is None:
                raise _failed(sentence("The origin says that nothing has changed, without being asked."))
            # A 304 repeats only the headers that it changes.
            file, said = kept.file, {**kept.said, **said}
        freshness = freshness_of(said, reply.received, self._settings.fresh_seconds)
        repeated = (*HEADERS, "etag", "last-modified")
        return Fetched(file, freshness, {name: said[name] for name in repeated if name in said})

    def _judged(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower().rstrip("."), parts.port
        except ValueError as error:
            raise _forbidden(sentence("This is not a URL.")) from error
        if parts.scheme not in ("http", "https") or port not in _PORTS or parts.username is not None:
            raise _forbidden(sentence("An origin has an http or https URL with the usual port and without a user."))
        if not any(_fits(host, allowed) for allowed in self._settings.hosts):
            raise _forbidden(sentence("Pictures of '{host}' are not processed here.", host=host))
        return parts

    def _get(self, url: str, kept: Fetched | None) -> _Reply:
        deadline = time.monotonic() + self._settings.timeout_seconds
        # The bytes of a URL may be other text than UTF-8.
        url = quote(url, safe=_SAFE, errors="surrogateescape")
        for _ in range(self._settings.max_redirects + 1):
            self._judged(url)
            target = self._folder / uuid4().hex
            try:
                reply = self._get_once(url, kept, target, deadline)
            except ForbiddenAddressError as error:
                raise _forbidden(text_of(error)) from error
            except httpcore2.TimeoutException as error:
                raise DomainError(ORIGIN_SLOW, sentence("The origin does not answer in time.")) from error
            except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError) as error:
                raise _failed(
                    sentence("The origin fails: {reason}.", reason=str(error) or type(error).__name__)
                ) from error
            if isinstance(reply, _Reply):
                return reply
            url = _joined(url, reply)
        raise _failed(sentence("The origin redirects too often."))

    def _get_once(self, url: str, kept: Fetched | None, target: Path, deadline: float) -> _Reply | str:
        """Return the reply, or the URL that the origin redirects to."""
        headers: dict[bytes | str, bytes | str] = {
            "User-Agent": "Pixmill",
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        headers["Host"] = urlsplit(url).netloc
        known: Mapping[str, str] = {} if kept is None else kept.said
        if "etag" in known:
            headers["If-None-Match"] = known["etag"].encode("latin-1")
        elif "last-modified" in known:
            headers["If-Modified-Since"] = known["last-modified"].encode("latin-1")
        left = max(0.1, deadline - time.monotonic())
        limits = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), left)}
        with self._pool.stream("GET", url, headers=headers, extensions=limits) as response:
            said, received = _headers_of(response), time.monotonic()
            if response.status == 304:
                return _Reply(None, said, received)
            if response.status in _REDIRECTS and "location" in said:
                # Many servers send UTF-8 in Location without encoding it.
                return quote(said["location"].encode("latin-1"), safe=_SAFE)
            if response.status in _GONE:
                raise DomainError(
                    FILE_NOT_FOUND,
                    sentence("There is no file at the origin, which answers {status}.", status=response.status),
                    context={"file_id": None},
                )
            if response.status != 200:
                raise _failed(sentence("The origin answers {status}.", status=response.status))
            return _Reply(self._received(response, target, deadline), said, received)

    def _received(self, response: httpcore2.Response, target: Path, deadline: float) -> OriginFile:
        digest, size, head = hashlib.sha256(), 0, b""
        try:
            with target.open("wb") as file:
                for piece in response.iter_stream():
                    size += len(piece)
                    head += piece[: HEAD_BYTES - len(head)]
                    if size > self._settings.max_bytes:
                        raise too_large(
                            counted(
                                "The origin's file has more than {limit:,} byte.",
                                "The origin's file has more than {limit:,} bytes.",
                                "limit",
                                limit=self._settings.max_bytes,
                            )
                        )
                    if time.monotonic() > deadline:
                        raise DomainError(ORIGIN_SLOW, sentence("The origin does not send the file in time."))
                    digest.update(piece)
                    file.write(piece)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return OriginFile(target, digest.hexdigest(), size, head)


def _headers_of(response: httpcore2.Response) -> dict[str, str]:
    """Return the headers by their names in lower case; `Cache-Control` may be sent in several lines."""
    said = dict[str, str]()
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        said[name] = f"{said[name]}, {value}" if name == "cache-control" and name in said else value
    return said


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise _forbidden(sentence("This is not a URL.")) from error


def _fits(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:]) and len(host) > len(allowed) - 1
    return host == allowed


def _forbidden(detail: str) -> DomainError:
    return DomainError(ORIGIN_FORBIDDEN, detail, context=reason_of(detail))


def _failed(detail: str) -> DomainError:
    return DomainError(ORIGIN_FAILED, detail, context=reason_of(detail))
