"""Runs fetches from other servers in threads of their own, a limited number at once and from each host."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from service_kit.errors import DomainError
from service_kit.texts import sentence

from image_processor.render.config import OriginSettings
from image_processor.render.failures import ORIGIN_SLOW, busy

_T = TypeVar("_T")

GRACE_SECONDS = 1
"""How much longer than its own time limit a fetch may take before it is given up: looking up a name has no limit."""


class Fetch(Generic[_T]):
    """A fetch in the queue; create it within the event loop."""

    def __init__(self, host: str, work: Callable[[], _T]) -> None:
        self.host = host
        self.work = work
        self.begun: asyncio.Future[asyncio.Future[_T]] = asyncio.get_running_loop().create_future()

    @property
    def waits(self) -> bool:
        """Whether no thread has started it yet."""
        return not self.begun.done()


class Fetches(Generic[_T]):
    """Runs fetches; those that must wait start in order, except that a host at its limit lets other hosts pass."""

    def __init__(self, settings: OriginSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.fetches, "origin-fetch")
        self._waiting = list[Fetch[_T]]()
        self._running = Counter[str]()

    @property
    def waiting(self) -> int:
        """Return the number of fetches that wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Start no further fetch."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, fetch: Fetch[_T]) -> _T:
        """Run a fetch when a thread is free; if the caller is cancelled before that, it does not run.

        :raises DomainError: ``renders-busy``: too many fetches wait, or this one waited too long; ``origin-too-slow``.
        """
        limits = self._settings
        of_host = sum(1 for waiting in self._waiting if waiting.host == fetch.host)
        # A slow host must not fill the queue alone.
        if len(self._waiting) >= limits.queue or 2 * of_host >= limits.queue:
            raise busy(sentence("Too many pictures wait to be fetched from other servers; try again."))
        self._waiting.append(fetch)
        self._start_next()
        try:
            async with asyncio.timeout(limits.queue_seconds):
                running = await fetch.begun
        except TimeoutError as error:
            detail = sentence(
                "Too many pictures are being fetched from other servers to begin with this one; try again."
            )
            raise busy(detail) from error
        finally:
            if fetch in self._waiting:
                self._waiting.remove(fetch)
        await asyncio.wait({running}, timeout=limits.timeout_seconds + GRACE_SECONDS)
        if not running.done():
            # Its thread is not free before the fetch ends.
            raise DomainError(ORIGIN_SLOW, sentence("The origin does not answer in time."))
        return running.result()

    def _start_next(self) -> None:
        for fetch in list(self._waiting):
            if self._running.total() >= self._settings.fetches:
                return
            if fetch.waits and self._running[fetch.host] < self._settings.fetches_of_a_host:
                self._start(fetch)

    def _start(self, fetch: Fetch[_T]) -> None:
        self._waiting.remove(fetch)
        self._running[fetch.host] += 1
        loop = asyncio.get_running_loop()
        running: asyncio.Future[_T] = loop.create_future()

        def settle(done: Future[_T]) -> None:
            self._running[fetch.host] -= 1
            self._running += Counter()  # removes hosts without fetches
            if (error := done.exception()) is None:
                running.set_result(done.result())
            else:
                running.set_exception(error)
                # Mark the error as retrieved: the caller may have been cancelled.
                running.exception()
            self._start_next()

        def ended(done: Future[_T]) -> None:
            # The loop is closed if the service has stopped.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, done)

        # Not `run_in_executor`, whose futures refer to each other: only a garbage collection would free the result.
        self._threads.submit(fetch.work).add_done_callback(ended)
        fetch.begun.set_result(running)
