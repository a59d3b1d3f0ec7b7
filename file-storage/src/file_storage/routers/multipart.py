"""Reads a ``multipart/form-data`` upload (RFC 7578) straight into the blob store."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
    parts = _Parts(lambda: staged, max_files=1, max_bytes=max_bytes)
    _read(body, boundary, parts, MAX_PARTS)
    form = Form(parts.files[0][1])
    for name, text in parts.texts.items():
        if name in JSON_PARTS:
            form.fields.update(_json_fields(bytes(text)))
        else:
            form.fields[name] = _decoded(bytes(text))
    return form


def read_files(
    body: Body, boundary: bytes, stage: Callable[[], StagedBlob], max_files: int, max_bytes: int
) -> tuple[Sequence[tuple[StagedBlob, str]], object]:
    """Writes each part ``file`` to a staging file of its own.

    :returns: the staged bytes with each part's client name, and what the part ``json`` says; ``None`` without one.
    :raises Problem: 400 malformed, truncated, without a file or with too many, 413 a file or a field too long.
    """
    parts = _Parts(stage, max_files, max_bytes)
    _read(body, boundary, parts, max_files + MAX_PARTS)
    if unknown := parts.texts.keys() - {"json"}:
        raise _malformed(f"The form has a part '{min(unknown)[:50]}'; it takes 'file', repeated, and 'json'.")
    text = parts.texts.get("json")
    return parts.files, None if text is None else _json(bytes(text))


def _read(body: Body, boundary: bytes, parts: "_Parts", max_parts: int) -> None:
    # The limit is on what the decoder holds back while it looks for a boundary, file bytes included.
    decoder = MultipartDecoder(boundary, max_form_memory_size=2 * CHUNK, max_parts=max_parts)
    try:
        while not parts.complete:
            _feed(decoder, body, parts)
    except HTTPException as error:
        raise Problem(
            "form-too-large", 413, f"A form may have {max_parts} parts of {MAX_FIELD_BYTES} bytes."
        ) from error
    except ValueError as error:
        raise _malformed("The multipart body is malformed or ends early (RFC 7578).") from error
    if not parts.files:
        raise _malformed(
            "The form has no file: add a part named 'file' with a file name, as curl -F file=@photo.jpg does."
        )


def _feed(decoder: MultipartDecoder, body: Body, parts: "_Parts") -> None:
    decoder.receive_data(body.read(CHUNK) or None)
    event = decoder.next_event()
    while not isinstance(event, NeedData):
        parts.handle(event)
        if isinstance(event, Epilogue):
            return
        event = decoder.next_event()


class _Parts:
    """The parts of a form, as they come: files to their staging files, all else kept as text."""

    def __init__(self, stage: Callable[[], StagedBlob], max_files: int, max_bytes: int) -> None:
        self._stage = stage
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._text: bytearray | None = None
        self.files: list[tuple[StagedBlob, str]] = []
        self.texts: dict[str, bytearray] = {}
        self.complete = False

    def handle(self, event: object) -> None:
        if isinstance(event, Field | File):
            self._begin(event)
        elif isinstance(event, Data):
            self._append(event.data)
        elif isinstance(event, Epilogue):
            self.complete = True

    def _begin(self, part: Field | File) -> None:
        name = part.name or ""
        if not isinstance(part, File) or name in JSON_PARTS:
            self._text = self.texts[name] = bytearray()
            return
        if name != "file":
            raise _malformed(f"The file came in a part named '{name[:50]}'; name that part 'file'.")
        if len(self.files) == self._max_files:
            raise _malformed(f"Of parts named 'file' this request may have {self._max_files}, and more came.")
        self._text = None
        self.files.append((self._stage(), part.filename))

    def _append(self, data: bytes) -> None:
        if self._text is None:
            staged = self.files[-1][0]
            if staged.size + len(data) > self._max_bytes:
                raise too_large(self._max_bytes)
            staged.write(data)
            return
        self._text += data
        if len(self._text) > MAX_FIELD_BYTES:
            raise Problem("form-too-large", 413, f"A form field may have {MAX_FIELD_BYTES} bytes.")


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
    fields = _json(text)
    if not isinstance(fields, dict):
        raise _malformed("The JSON part must be an object with 'name' and 'comment'.")
    return fields


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed("The JSON part is not valid JSON.") from error


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
