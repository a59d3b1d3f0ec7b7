"""Ranges that no web server sends as we want them: put together in a file without a name, which uWSGI sends."""

from collections.abc import Sequence
from typing import IO

from flask import Response, request
from werkzeug.wsgi import wrap_file

from file_storage.models import File
from file_storage.sending.ranges import MAX_COPIED_BYTES, Span, bytes_of, partial_content
from file_storage.services.files import FileService
from file_storage.storage import Staging


class RangeCopies:
    """Answers that are copied before they are sent, as far as there is room for them."""

    def __init__(self, files: FileService, staging: Staging) -> None:
        self._files = files
        self._staging = staging

    def send(self, response: Response, file: File, parts: Sequence[Span]) -> Response | None:
        """Copy the parts and have uWSGI send them; return ``None`` where they are too many bytes.

        :raises DomainError: ``bytes-lost``.
        """
        if bytes_of(parts) > min(MAX_COPIED_BYTES, self._staging.room()):
            return None
        with self._files.open(file) as content:
            pieces = partial_content(response, content, parts, file.size)
            return send_open(response, self._staging.unnamed(pieces))


def send_open(response: Response, body: IO[bytes]) -> Response:
    """Have uWSGI send an open file; one in S3 is read by our thread."""
    response.response = wrap_file(request.environ, body)
    # uWSGI knows the file again only as it is; wrapped once more it would be read by Python, a line at a time.
    response.direct_passthrough = True
    return response
