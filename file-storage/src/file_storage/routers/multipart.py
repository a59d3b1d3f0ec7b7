"""Reads a ``multipart/form-data`` upload (RFC 7578) straight into the blob store."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import Request
from service_kit.problems import Problem
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData
from werkzeug.wsgi import get_input_stream

from file_storage.storage import StagedBlob, StorageFullError

if TYPE_CHECKING:
    from typing import IO

CHUNK = 256 * 1024
MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 16
MAX_DRAINED_BYTES = 1024 * 1024 * 1024
JSON_PARTS = ("json", "data")


@dataclass
class Form:
    """What stands beside the file: its client name, and the other fields by name."""

    filename: str
    fields: dict[str, object] = field(default_factory=dict)


def read_form(request: Request, staged: StagedBlob, max_bytes: int) -> Form:
    """Writes the part ``file`` to ``staged`` and gives the rest of the form.

    The fields of a JSON part named ``json`` or ``data`` count as form fields.

    :raises Problem: 415 another content type, 400 malformed, truncated, or not exactly one part ``file``,
        413 a file or a field too long.
    """
    stream = get_input_stream(request.environ, max_content_length=None)
    try:
        boundary = _boundary(request)
        if (request.content_length or 0) > max_bytes + MAX_PARTS * MAX_FIELD_BYTES:
            raise _too_large(max_bytes)
        return _read_parts(stream, boundary, staged, max_bytes)
    except (Problem, StorageFullError):
        _drain(stream)
        raise


def _read_parts(stream: "IO[bytes]", boundary: bytes, staged: StagedBlob, max_bytes: int) -> Form:
    # The limit is on what the decoder holds back while it looks for a boundary, file bytes included.
    decoder = MultipartDecoder(boundary, max_form_memory_size=2 * CHUNK, max_parts=MAX_PARTS)
    reader = _FormReader(staged, max_bytes)
    try:
        while not reader.complete:
            _feed(decoder, stream, reader)
    except ClientDisconnected as error:
        raise _malformed("The body ended before its Content-Length; send it again.") from error
    except HTTPException as error:
        raise Problem(
            "form-too-large", 413, f"A form may have {MAX_PARTS} parts of {MAX_FIELD_BYTES} bytes."
        ) from error
    except OSError as error:
        raise _malformed("The connection broke before the body was complete; send it again.") from error
    except ValueError as error:
        raise _malformed("The multipart body is malformed or ends early (RFC 7578).") from error
    return reader.form()


def _drain(stream: "IO[bytes]") -> None:
    """Reads the rest of a refused body: closing before it came would reset the connection and lose the answer."""
    try:
        for _ in range(MAX_DRAINED_BYTES // CHUNK):
            if not stream.read(CHUNK):
                return
    except (OSError, HTTPException):
        return


def _feed(decoder: MultipartDecoder, stream: "IO[bytes]", reader: "_FormReader") -> None:
    decoder.receive_data(stream.read(CHUNK) or None)
    event = decoder.next_event()
    while not isinstance(event, NeedData):
        reader.handle(event)
        if isinstance(event, Epilogue):
            return
        event = decoder.next_event()


class _FormReader:
    def __init__(self, staged: StagedBlob, max_bytes: int) -> None:
        self._staged = staged
        self._max_bytes = max_bytes
        self._filename: str | None = None
        self._part = ""
        self._in_file = False
        self._texts: dict[str, bytearray] = {}
        self.complete = False

    def handle(self, event: object) -> None:
        if isinstance(event, Field | File):
            self._begin(event)
        elif isinstance(event, Data):
            self._append(event.data)
        elif isinstance(event, Epilogue):
            self.complete = True

    def _begin(self, part: Field | File) -> None:
        self._part = part.name or ""
        self._in_file = isinstance(part, File) and self._part not in JSON_PARTS
        if not self._in_file:
            self._texts[self._part] = bytearray()
            return
        if self._part != "file":
            raise _malformed(f"The file came in a part named '{self._part[:50]}'; name that part 'file'.")
        if self._filename is not None:
            raise _malformed("The form has two parts named 'file'; upload one file a request.")
        self._filename = cast(File, part).filename

    def _append(self, data: bytes | bytearray) -> None:
        if self._in_file:
            if self._staged.size + len(data) > self._max_bytes:
                raise _too_large(self._max_bytes)
            self._staged.write(data)
            return
        text = self._texts[self._part]
        text += data
        if len(text) > MAX_FIELD_BYTES:
            raise Problem("form-too-large", 413, f"A form field may have {MAX_FIELD_BYTES} bytes.")

    def form(self) -> Form:
        if self._filename is None:
            raise _malformed(
                "The form has no file: add a part named 'file' with a file name, as curl -F file=@photo.jpg does."
            )
        form = Form(self._filename)
        for name, text in self._texts.items():
            if name in JSON_PARTS:
                form.fields.update(_json_fields(bytes(text)))
            else:
                form.fields[name] = _decoded(bytes(text))
        return form


def _boundary(request: Request) -> bytes:
    mimetype, options = parse_options_header(request.headers.get("Content-Type"))
    if mimetype != "multipart/form-data":
        raise Problem(
            "unsupported-media-type",
            415,
            "Send the file as multipart/form-data in a part named 'file', as curl -F file=@photo.jpg does.",
        )
    boundary = options.get("boundary", "")
    if not boundary or not boundary.isascii() or len(boundary) > 200:
        raise _malformed("The Content-Type has no usable boundary (RFC 2046, 5.1.1).")
    return boundary.encode("ascii")


def _json_fields(text: bytes) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed("The JSON part is not valid JSON.") from error
    if not isinstance(fields, dict):
        raise _malformed("The JSON part must be an object with 'name' and 'comment'.")
    return fields


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _malformed("A form field is not UTF-8.") from error


def _malformed(detail: str) -> Problem:
    return Problem("malformed-upload", 400, detail)


def _too_large(max_bytes: int) -> Problem:
    return Problem("file-too-large", 413, f"A file may have {max_bytes} bytes at most.")
