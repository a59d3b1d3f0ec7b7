"""Limits of concurrent clients, in total and per address."""

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_kit.networks import network_of
from service_kit.problems import Problem

STREAMS = 24
"""Maximum requests that occupy a uWSGI thread at the client's speed; fewer than its 32 threads."""
STREAMS_OF_AN_ADDRESS = 6
RENDERS = 1024
"""Maximum requests to the render service; the limit per address equals nginx's limit of downloads."""
RENDERS_OF_AN_ADDRESS = 256
LISTENERS = 1024
LISTENERS_OF_AN_ADDRESS = 64
MAX_CONNECTIONS = 8192
BUFFERED_BYTES = 128 * 1024 * 1024
"""Maximum bytes of all bodies that wait in memory, in total and per address; the start of each body is not counted."""
BUFFERED_BYTES_OF_AN_ADDRESS = 16 * 1024 * 1024
WAIT_SECONDS = 10
"""Seconds that a request waits for others to end before it is refused."""

_FILES_OF_A_CONNECTION = 3
"""File descriptors per request: the client's connection, the one to uWSGI, and the file."""
_FILES_OF_THE_FRONT = 100


class Limit:
    """At most ``total`` places, and at most ``each`` per address, or per network of IPv6 addresses."""

    def __init__(self, total: int, each: int) -> None:
        self.total = total
        self.each = each
        self._held: Counter[str] = Counter()
        self._held_together = 0
        self._changed = asyncio.Condition()

    def enter(self, address: str, places: int = 1) -> bool:
        """Take places if the limit allows it, and return whether it does."""
        network = network_of(address)
        if self._held_together + places > self.total or self._held[network] + places > self.each:
            return False
        self._held[network] += places
        self._held_together += places
        return True

    def leave(self, address: str, places: int = 1) -> None:
        """Give places back."""
        network = network_of(address)
        self._held[network] -= places
        self._held_together -= places
        if not self._held[network]:
            del self._held[network]

    @asynccontextmanager
    async def held(self, address: str, wait_seconds: float = 0) -> AsyncIterator[None]:
        """Hold a place during the block.

        :raises Problem: 503, the limit was reached for ``wait_seconds``.
        """
        if not self.enter(address):
            await self._wait(address, wait_seconds)
        try:
            yield
        finally:
            self.leave(address)
            async with self._changed:
                self._changed.notify_all()

    async def _wait(self, address: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.enter(address))
        except TimeoutError as error:
            detail = "Too many such requests at the same time, or too many from this address; try again."
            raise Problem("too-many-at-a-time", 503, detail, retry_after=5) from error


def connection_limit() -> Limit:
    """Return a limit of connections such that the process can open all files that they need."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    total = (
        MAX_CONNECTIONS if files == resource.RLIM_INFINITY else (files - _FILES_OF_THE_FRONT) // _FILES_OF_A_CONNECTION
    )
    total = max(min(total, MAX_CONNECTIONS), 1)
    # Half, so that one address leaves room for others.
    return Limit(total, max(total // 2, 1))


def listener_limit(connections: int) -> Limit:
    """Return the limit of event stream clients, which must not use up all connections."""
    return Limit(max(min(LISTENERS, connections // 2), 1), LISTENERS_OF_AN_ADDRESS)
