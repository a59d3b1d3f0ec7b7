"""Reads request bodies: decodes chunked ones, and parses JSON with a clear problem for each error."""

import importlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from io import RawIOBase
from typing import IO, TYPE_CHECKING, TypeVar

from flask import Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wsgi import get_input_stream

from service_kit.json_extent import check_extent
from service_kit.openapi import schema_of
from service_kit.problems import Problem, invalid_request
from service_kit.texts import counted, sentence

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_Model = TypeVar("_Model", bound=BaseModel)

JSON_LIMIT = 2 * 1024 * 1024
"""Maximum size of a JSON body in bytes."""
PUBLIC_JSON_LIMIT = 16 * 1024
"""The same for operations without a key: the front receives a body of this size before it occupies a thread."""
MAX_DRAINED_BYTES = 1024 * 1024 * 1024
"""At most this many bytes of an unwanted body are read and dropped."""
DROP_BYTES = 256 * 1024
"""Maximum number of bytes dropped per read."""


class _ChunkedBody(RawIOBase):
    """A chunked body (RFC 9112, 7.1): uWSGI does not decode it, but has a function that reads a chunk."""

    def __init__(self, read_chunk: Callable[[], bytes]) -> None:
        self._read_chunk = read_chunk
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # werkzeug reads into bytearrays only
        if not self._rest:
            self._rest = self._read_chunk()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def decode_chunked(application: "WSGIApplication") -> "WSGIApplication":
    """Return WSGI middleware that makes chunked request bodies readable under uWSGI's own HTTP socket."""

    def decoded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            environ["wsgi.input"] = _ChunkedBody(importlib.import_module("uwsgi").chunked_read)
            environ["wsgi.input_terminated"] = True
        return application(environ, start_response)

    return decoded


def send_continue(application: "WSGIApplication") -> "WSGIApplication":
    """Return WSGI middleware that answers ``Expect: 100-continue`` (RFC 9110, 10.1.1).

    uWSGI's own HTTP socket does not. Without that answer, clients such as curl wait a second before they send the body.
    """

    def answered(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            os.write(importlib.import_module("uwsgi").connection_fd(), b"HTTP/1.1 100 Continue\r\n\r\n")
        return application(environ, start_response)

    return answered


def drain_unread(response: Response) -> Response:
    """After the response is sent, read and drop the rest of a body that is refused or unexpected.

    Closing the connection while bytes are unread would reset it, and the client would lose the response. The server in
    front closes the connection once it has the response, which ends the reading: a slow client holds no thread.
    """
    if response.status_code >= 400 or request.method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        stream = get_input_stream(request.environ, max_content_length=None)
        response.call_on_close(partial(_drain, stream))
    return response


def _drain(stream: IO[bytes]) -> None:
    with suppress(OSError, HTTPException):
        for _ in range(MAX_DRAINED_BYTES // DROP_BYTES):
            if not stream.read(DROP_BYTES):
                break


def described(model: type[BaseModel]) -> dict[str, object]:
    """Return the OpenAPI extension for an operation that reads its body with :func:`json_body`."""
    content = {"application/json": {"schema": schema_of(model)}}
    return {"requestBody": {"required": True, "content": content}}


def json_body(model: type[_Model], limit: int = JSON_LIMIT) -> _Model:
    """Return the current request's JSON body as a ``model``.

    :param limit: maximum size of the body, in bytes.
    :raises Problem: 415, not ``application/json``; 413, too long; 400, not JSON; 422, too deep, too many values, or
    invalid for the model.
    """
    if not request.is_json:
        raise Problem(
            "unsupported-media-type",
            415,
            sentence("Send the body as JSON with Content-Type: application/json."),
            context={"media_type": "application/json"},
        )
    if (request.content_length or 0) > limit:
        raise Problem(
            "body-too-large",
            413,
            counted(
                "A JSON body may have at most {limit} byte.",
                "A JSON body may have at most {limit} bytes.",
                "limit",
                limit=limit,
            ),
        )
    request.max_content_length = limit
    try:
        data = request.get_json()
    except (BadRequest, RecursionError, ValueError) as error:
        raise Problem("malformed-json", 400, sentence("The body is not valid JSON (RFC 8259).")) from error
    check_extent(data)
    return validated(model, data)


def validated(model: type[_Model], data: object) -> _Model:
    """Return a client's data as a ``model``.

    :raises Problem: 422, the data is invalid for the model.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid_request(error, data, model=model) from error
