"""Responses that are built once and cached: with an ETag, compression, and 304 for unchanged content."""

import gzip
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from flask import Response, request


@dataclass(frozen=True)
class KeptAnswer:
    """The body of a response, plain and compressed."""

    body: bytes
    mimetype: str = "application/json"

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self.body, 9, mtime=0)

    @cached_property
    def _digest(self) -> str:
        return sha256(self.body).hexdigest()[:32]

    def response(self) -> Response:
        """Return the response to the current request."""
        # Each coding has its own tag: a strong ETag identifies exact bytes (RFC 9110, 8.8.3).
        compressed = request.accept_encodings["gzip"] > 0
        response = Response(self._compressed if compressed else self.body, mimetype=self.mimetype)
        if compressed:
            response.content_encoding = "gzip"
        response.set_etag(f"{self._digest}-gzip" if compressed else self._digest)
        # Let clients revalidate each time: a new version of the server may have other algorithms.
        response.headers["Cache-Control"] = "private, no-cache"
        response.vary.add("Accept-Encoding")
        response.make_conditional(request)
        return response
