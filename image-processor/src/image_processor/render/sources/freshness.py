"""How long a response of an origin may be used, and by whom (RFC 9111)."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

HEADERS = ("cache-control", "expires", "date")
"""The headers that decide, apart from `Age`; a 304 need not repeat them."""
_DIRECTIVE = re.compile(r"([^\s,=\"]+)(?:\s*=\s*(?:\"([^\"]*)\"|([^\s,]*)))?")
_SECONDS = re.compile(r"[0-9]{1,9}")
_LONGEST = 10**9


@dataclass(frozen=True)
class Freshness:
    """How long a response, and what is made from it, may be used without asking the origin.

    :param until: the monotonic time until which this service and nginx, which many clients share, may use it.
    :param clients_until: the same for caches of clients.
    :param is_private: whether only the cache of a single client may keep it.
    :param is_stored: whether any cache may keep it.
    """

    until: float
    clients_until: float
    is_private: bool = False
    is_stored: bool = True

    @property
    def is_kept(self) -> bool:
        """Whether this service and nginx may keep it."""
        return self.is_stored and not self.is_private

    def joined(self, other: "Freshness") -> "Freshness":
        """Return how long a result may be used that is made from both."""
        return Freshness(
            min(self.until, other.until),
            min(self.clients_until, other.clients_until),
            self.is_private or other.is_private,
            self.is_stored and other.is_stored,
        )


def freshness_of(headers: Mapping[str, str], now: float, most_seconds: float) -> Freshness:
    """Return the freshness of a response that was received at the monotonic time ``now``.

    :param headers: its headers, by their names in lower case.
    :param most_seconds: how long this service uses it at most; the rule for all where the origin names no time.
    """
    control = _directives(headers.get("cache-control", ""))
    age = _seconds(headers.get("age", "").strip()) or 0
    named = _lifetime(control, headers)
    shared = _seconds(control["s-maxage"]) or 0 if "s-maxage" in control else named
    if "no-cache" in control:
        named = shared = 0
    ours = most_seconds if shared is None else min(most_seconds, max(0, shared - age))
    # Without a time for clients, that of shared caches is nearest to what the origin means.
    theirs = shared if named is None else named
    clients = most_seconds if theirs is None else max(0, theirs - age)
    return Freshness(now + ours, now + clients, "private" in control, "no-store" not in control)


def _lifetime(control: Mapping[str, str], headers: Mapping[str, str]) -> int | None:
    """Return the seconds from the origin's answer until it is stale; ``None`` if the origin does not say."""
    if "max-age" in control:
        return _seconds(control["max-age"]) or 0
    if "expires" not in headers:
        return None
    # A date that cannot be read, such as 0, is in the past (RFC 9111, 5.3).
    with suppress(TypeError, ValueError, OverflowError):
        date = parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
        expires = parsedate_to_datetime(headers["expires"]).timestamp()
        return min(_LONGEST, max(0, int(expires - date)))
    return 0


def _directives(control: str) -> Mapping[str, str]:
    found = dict[str, str]()
    for name, quoted, plain in _DIRECTIVE.findall(control.lower()):
        # The first of several counts.
        found.setdefault(name, quoted or plain)
    return found


def _seconds(text: str) -> int | None:
    """Return a number of seconds; ``None`` if the text is another."""
    if _SECONDS.fullmatch(text):
        return int(text)
    return _LONGEST if text.isascii() and text.isdigit() else None
