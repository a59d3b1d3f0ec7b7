"""Parses a ``multipart/form-data`` upload (RFC 7578) and writes its files to staging files."""

import codecs
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import Request
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_content_disposition,
)
from service_kit.errors import FieldError
from service_kit.json_extent import check_extent, check_text
from service_kit.problems import Problem
from service_kit.texts import counted, reason_of, sentence
from werkzeug.http import parse_options_header

from file_storage.storage import Readable, StagedBlob

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BODY_READ_BYTES = 1024 * 1024
"""Maximum number of bytes per read of a request body that becomes files."""
TEXT_BYTES_A_FILE = 128 * 1024
"""Limit of the text fields per file: the longest name and comment, all characters escaped in JSON, and a margin."""
MAX_PARTS = 16
JSON_PARTS = ("json", "data")

_QUOTED = re.compile(r'"(\\"|[^"])*"')

_CHARSET = "utf-8-or-latin-1"
"""The charset of a part's headers: browsers and curl send UTF-8, older clients their local encoding."""


def _utf_8_or_latin_1(text: "ReadableBuffer", errors: str = "strict") -> tuple[str, int]:
    try:
        return codecs.utf_8_decode(text, errors, True)  # noqa: FBT003 (takes no keywords)
    except UnicodeDecodeError:
        return codecs.latin_1_decode(text, errors)


def _codec(name: str) -> codecs.CodecInfo | None:
    is_ours = name.replace("-", "_") == _CHARSET.replace("-", "_")
    return codecs.CodecInfo(codecs.utf_8_encode, _utf_8_or_latin_1, name=_CHARSET) if is_ours else None


codecs.register(_codec)


@dataclass
class Form:
    """The client's file name, and the other fields by name."""

    filename: str
    fields: dict[str, object] = field(default_factory=dict)


def read_parts(body: Readable, boundary: bytes, staged: StagedBlob, max_bytes: int) -> Form:
    """Write the part ``file`` to ``staged`` and return the rest of the form.

    The fields of a JSON part named ``json`` or ``data`` count as form fields.

    :raises Problem: 400 if malformed, truncated, or without exactly one part ``file``, 413 if the file or the fields
        are too long, 422 for a repeated field.
    """
    parts = _Parts(lambda: staged, max_files=1, max_bytes=max_bytes)
    _read(body, boundary, parts, MAX_PARTS)
    form = Form(parts.files[0][1])
    for part, text in parts.texts.items():
        fields = _json_fields(bytes(text)) if part in JSON_PARTS else {part: _decoded(bytes(text))}
        for name, value in fields.items():
            if name in form.fields:
                raise _repeated(name)
            form.fields[name] = value
    return form


def read_files(
    body: Readable, boundary: bytes, stage: Callable[[], StagedBlob], max_files: int, max_bytes: int
) -> tuple[Sequence[tuple[StagedBlob, str]], object]:
    """Write each part ``file`` to its own staging file.

    :returns: the staging files with their client names, and the parsed part ``json``, or ``None`` without that part.
    :raises Problem: 400 if malformed, truncated, without files or with too many, 413 if a file or the JSON is too long.
    """
    parts = _Parts(stage, max_files, max_bytes)
    _read(body, boundary, parts, max_files + MAX_PARTS)
    if unknown := parts.texts.keys() - {"json"}:
        detail = sentence(
            "The form has a part '{unknown}'; only 'file', which may be repeated, and 'json' are allowed.",
            unknown=min(unknown)[:50],
        )
        raise _malformed(detail)
    text = parts.texts.get("json")
    return parts.files, None if text is None else _json(bytes(text))


def _read(body: Readable, boundary: bytes, parts: "_Parts", max_parts: int) -> None:
    try:
        parser = PushMultipartParser(boundary, max_segment_count=max_parts, header_charset=_CHARSET)
        for event in parser.parse_blocking(body.read, BODY_READ_BYTES):
            parts.handle(event)
    except ParserLimitReached as error:
        detail = counted(
            "A form may have at most {max_parts} part, with at most 8 headers of 4,096 bytes.",
            "A form may have at most {max_parts} parts, each with at most 8 headers of 4,096 bytes.",
            "max_parts",
            max_parts=max_parts,
        )
        raise Problem("form-too-large", 413, detail, context={"limit": max_parts}) from error
    except MultipartError as error:
        raise _malformed(sentence("The multipart body is malformed or ends early (RFC 7578).")) from error
    if not parts.files:
        raise _malformed(
            sentence("The form has no file: add a part named 'file' with a file name, as curl -F file=@photo.jpg does.")
        )


class _Parts:
    """Collects the parts of a form as they are parsed: files in staging files, other parts as text."""

    def __init__(self, stage: Callable[[], StagedBlob], max_files: int, max_bytes: int) -> None:
        self._stage = stage
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._text_bytes_left = max_files * TEXT_BYTES_A_FILE
        self._text: bytearray | None = None
        self.files: list[tuple[StagedBlob, str]] = []
        self.texts: dict[str, bytearray] = {}

    def handle(self, event: MultipartSegment | bytes | None) -> None:
        """Process the headers of a part, or some of its bytes."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is not None:
            self._append(event)

    def _begin(self, part: MultipartSegment) -> None:
        name, filename = _names_in(part.header("Content-Disposition") or "")
        if filename is None or name in JSON_PARTS:
            self._begin_field(name)
            return
        if name != "file":
            raise _malformed(sentence("The file came in a part named '{name}'; name that part 'file'.", name=name[:50]))
        if len(self.files) == self._max_files:
            raise _malformed(
                sentence(
                    "Too many parts named 'file': this request may have at most {max_files}.", max_files=self._max_files
                )
            )
        self._text = None
        self.files.append((self._stage(), filename))

    def _begin_field(self, name: str) -> None:
        # Repeated fields are errors, because either value may be meant.
        if name in self.texts:
            raise _repeated(name)
        self._text = self.texts[name] = bytearray()

    def _append(self, data: bytes) -> None:
        if self._text is None:
            staged = self.files[-1][0]
            if staged.size + len(data) > self._max_bytes:
                raise too_large(self._max_bytes)
            staged.write(data)
            return
        self._text += data
        self._text_bytes_left -= len(data)
        if self._text_bytes_left < 0:
            allowed = self._max_files * TEXT_BYTES_A_FILE
            raise Problem(
                "form-too-large",
                413,
                counted(
                    "The fields of this form may have at most {allowed} byte together.",
                    "The fields of this form may have at most {allowed} bytes together.",
                    "allowed",
                    allowed=allowed,
                ),
                context={"limit": allowed},
            )


def boundary_of(request: Request) -> bytes:
    """Return the boundary of a multipart form.

    :raises Problem: 415 for another content type, 400 without a boundary.
    """
    mimetype, options = parse_options_header(request.headers.get("Content-Type"))
    # Media types are case-insensitive (RFC 9110, 8.3.1).
    if mimetype.lower() != "multipart/form-data":
        raise Problem(
            "unsupported-media-type",
            415,
            sentence(
                "Send the file as multipart/form-data in a part named 'file', as curl -F file=@photo.jpg does,"
                " or as the body with a name in the query, as curl -T photo.jpg '…/?name=photo.jpg' does."
            ),
            context={"media_type": "multipart/form-data"},
        )
    boundary = options.get("boundary", "")
    if not boundary or not boundary.isascii() or len(boundary) > 200:
        raise _malformed(sentence("The Content-Type has no usable boundary (RFC 2046, 5.1.1)."))
    return boundary.encode("ascii")


def _names_in(disposition: str) -> tuple[str, str | None]:
    """Return ``name`` and the file name of a part's Content-Disposition, as browsers and older clients write them.

    Browsers percent-encode only quotes, CR and LF; a backslash is literal (WHATWG HTML, multipart/form-data encoding).
    Some clients repeat the file name as ``filename*`` (RFC 5987), which takes precedence.
    """
    _, name, filename = parse_content_disposition(disposition)
    # The form parser ignores filename*. werkzeug's parser would remove backslashes from quoted text, so remove that
    # text.
    extended = parse_options_header(_QUOTED.sub('""', disposition))[1].get("filename")
    return name or "", extended or filename


def _json_fields(text: bytes) -> dict[str, object]:
    fields = _json(text)
    if not isinstance(fields, dict):
        raise _malformed(sentence("The JSON part must be an object with 'name' and 'comment'."))
    return fields


def _json(text: bytes) -> object:
    check_text(text)
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(sentence("The JSON part is not valid JSON.")) from error
    check_extent(data)
    return data


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _malformed(sentence("A form field is not UTF-8.")) from error


def _repeated(name: str) -> Problem:
    detail = sentence("The form has more than one '{name}'; send each field once.", name=name[:50])
    return Problem(
        "invalid-fields", 422, detail, [FieldError(pointer=f"/{name[:50]}", detail=detail, code="sent_twice")]
    )


def _malformed(detail: str) -> Problem:
    return Problem("malformed-upload", 400, detail, context=reason_of(detail))


def too_large(max_bytes: int) -> Problem:
    """Return the 413 problem for a file of more than ``max_bytes`` bytes."""
    return Problem(
        "file-too-large",
        413,
        counted(
            "A file may have at most {max_bytes} byte.",
            "A file may have at most {max_bytes} bytes.",
            "max_bytes",
            max_bytes=max_bytes,
        ),
    )
