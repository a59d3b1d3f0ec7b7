"""Sends files through the front of the embedded stack, which evaluates no conditions."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from flask import Response
from werkzeug.datastructures import Range

from file_storage.models import File
from file_storage.sending.copies import RangeCopies
from file_storage.sending.ranges import Span, bytes_of, partial
from file_storage.services.files import FileService


class FrontSender:
    """Makes the front send one part of a file (``X-Sendfile``); several parts are copied first.

    :param root: the folder of the blobs.
    """

    def __init__(self, files: FileService, copies: RangeCopies, root: str) -> None:
        self._files = files
        self._copies = copies
        self._root = root

    def whole(self, response: Response, file: File) -> Response:
        return self._send(response, file, (0, file.size))

    def ranges(self, response: Response, file: File, _wanted: Range, parts: Sequence[Span]) -> Response | None:
        if len(parts) == 1:
            return self._send(partial(response, parts[0], file.size), file, parts[0])
        return self._copies.send(response, file, parts)

    def headers_for(self, location: str, size: int) -> Mapping[str, str]:
        # Escaped, because the folder's name may contain letters that a header (Latin-1) cannot.
        return {"X-Sendfile": quote(self._root + location), "Content-Length": str(size), "Accept-Ranges": "bytes"}

    def _send(self, response: Response, file: File, part: Span) -> Response:
        response.headers.update(self.headers_for(self._files.location(file), bytes_of([part])))
        return response
