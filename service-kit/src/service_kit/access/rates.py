"""Counts the requests of each owner per second, for all processes of a service together.

The counts are in memory that processes share if they are forked from the one that created it: uWSGI's main process
imports this module before it forks (``shared-import``). With a database, each request would need one more statement.
"""

import fcntl
import os
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from mmap import mmap

from service_kit.access.principals import Principal
from service_kit.problems import Problem
from service_kit.texts import counted

BURST_SECONDS = 2
"""After a pause, an owner may send at once as many requests as its rate allows in this many seconds."""

_SLOT = struct.Struct("=16sdd")
"""The hash of an owner, the time of its last request, and how many more it could send at that time."""
_SLOTS = 4096
_TRIED = 8
"""Number of slots that an owner may use. If other owners use them all, the owner that paused longest loses its slot."""


class Rates:
    """The request rates of owners.

    :param clock: returns seconds, the same in all processes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._file = _memory(_SLOTS * _SLOT.size)
        self._slots = mmap(self._file, _SLOTS * _SLOT.size)
        # The lock of the file excludes other processes, but not other threads of this process.
        self._threads = threading.Lock()

    def count(self, principal: Principal) -> None:
        """Count a request; a refused one does not count.

        :raises Problem: 429, the owner has sent too many.
        """
        rate = principal.limits.requests_per_second
        if rate is None:
            return
        burst = float(BURST_SECONDS * rate)
        owner = blake2b(principal.owner.encode(), digest_size=16).digest()
        with self._locked():
            now = self._clock()
            position, last, left = self._found(owner, now, burst)
            left = min(burst, left + (now - last) * rate)
            is_allowed = left >= 1
            _SLOT.pack_into(self._slots, position, owner, now, left - is_allowed)
        if not is_allowed:
            detail = counted(
                "The owner '{owner}' may send at most {rate} request per second; wait.",
                "The owner '{owner}' may send at most {rate} requests per second; wait.",
                "rate",
                owner=principal.owner,
                rate=rate,
            )
            raise Problem("too-many-requests", 429, detail, retry_after=1)

    def _found(self, owner: bytes, now: float, burst: float) -> tuple[int, float, float]:
        """Return the position and the content of an owner's slot; a new owner has its full burst left."""
        first = int.from_bytes(owner[:4], "little")
        oldest = (float("inf"), 0)
        for number in range(first, first + _TRIED):
            position = number % _SLOTS * _SLOT.size
            holder, last, left = _SLOT.unpack_from(self._slots, position)
            if holder == owner:
                return position, last, left
            oldest = min(oldest, (last, position))
        return oldest[1], now, burst

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the slots; the kernel unlocks them if the process is killed."""
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


def _memory(size: int) -> int:
    """Return a file without a name, to share and to lock."""
    if sys.platform == "linux":
        file = os.memfd_create("pixmill-rates")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file


SHARED = Rates()
"""Counts for all gates of this process and of those forked from it."""
