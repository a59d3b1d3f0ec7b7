"""Lets the pages of named origins of other sites send requests with a key (``http.cors_origins``).

The applications of both frameworks use it, so that every endpoint of the API gives the same answers.
"""

from collections.abc import Collection, Mapping

from service_kit.access.bearer import bearer_token

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Range, Last-Event-ID"
_ALLOWED_HEADERS += ", Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Concat, Upload-Defer-Length"
_EXPOSED_HEADERS = (
    "Location, Link, ETag, Retry-After, X-Request-ID, Repr-Digest, Upload-Offset, Upload-Length, Tus-Resumable, "
    "X-Pixmill-Full-Size, X-Pixmill-Ignored"
)
_SECONDS = "600"
"""How long a browser remembers the answer to a preflight."""


class Cors:
    """The answers to pages of other origins (Fetch, 3.2)."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    @property
    def varies(self) -> bool:
        """Whether a response depends on the header ``Origin``, so that a cache must not give it to another origin."""
        return bool(self._origins)

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Return whether a request is the preflight of a named origin, which gets an empty 204."""
        return (
            method == "OPTIONS"
            and "Access-Control-Request-Method" in headers
            and headers.get("Origin") in self._origins
        )

    def headers(self, method: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers to add to the response if a named origin sends a key or a preflight, otherwise none.

        :param headers: of the request, a mapping that ignores the case of names.
        """
        origin, is_preflight = headers.get("Origin"), self.is_preflight(method, headers)
        # Another scheme is not a key: in the modes local and open the page would read as one without any.
        if origin not in self._origins or not (is_preflight or bearer_token(headers) is not None):
            return {}
        allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED_HEADERS}
        if not is_preflight:
            return allowed
        return allowed | {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Max-Age": _SECONDS,
        }
