"""Reads a ``multipart/form-data`` upload (RFC 7578) straight into the blob store."""

import json
from dataclasses import dataclass, field
from typing import Protocol, cast

from flask import Request
from service_kit.problems import Problem
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from file_storage.storage import StagedBlob

CHUNK = 256 * 1024
MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 16
JSON_PARTS = ("json", "data")


@dataclass
class Form:
    """What stands beside the file: its client name, and the other fields by name."""

    filename: str
    fields: dict[str, object] = field(default_factory=dict)


class Body(Protocol):
    """Where a form is read from."""

    def read(self, size: int) -> bytes: ...


def read_parts(body: Body, boundary: bytes, staged: StagedBlob, max_bytes: int) -> Form:
    """Writes the part ``file`` to ``staged`` and gives the rest of the form.

    The fields of a JSON part named ``json`` or ``data`` count as form fields.

    :raises Problem: 400 malformed, truncated, or not exactly one part ``file``, 413 a file or a field too long.
    """
    # The limit is on what the decoder holds back while it looks for a boundary, file bytes included.
    decoder = MultipartDecoder(boundary, max_form_memory_size=2 * CHUNK, max_parts=MAX_PARTS)
    reader = _FormReader(staged, max_bytes)
    try:
        while not reader.complete:
            _feed(decoder, body, reader)
    except HTTPException as error:
        raise Problem(
            "form-too-large", 413, f"A form may have {MAX_PARTS} parts of {MAX_FIELD_BYTES} bytes."
        ) from error
    except ValueError as error:
        raise _malformed("The multipart body is malformed or ends early (RFC 7578).") from error
    return reader.form()


def _feed(decoder: MultipartDecoder, body: Body, reader: "_FormReader") -> None:
    decoder.receive_data(body.read(CHUNK) or None)
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
                raise too_large(self._max_bytes)
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


def boundary_of(request: Request) -> bytes:
    """The boundary of a multipart form.

    :raises Problem: 415 another content type, 400 no boundary.
    """
    mimetype, options = parse_options_header(request.headers.get("Content-Type"))
    if mimetype != "multipart/form-data":
        raise Problem(
            "unsupported-media-type",
            415,
            "Send the file as multipart/form-data in a part named 'file', as curl -F file=@photo.jpg does, or its bytes"
            " alone with a name in the query, as curl -T photo.jpg '…/?name=photo.jpg' does.",
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


def too_large(max_bytes: int) -> Problem:
    """413: a file may have so many bytes."""
    return Problem("file-too-large", 413, f"A file may have {max_bytes} bytes at most.")
