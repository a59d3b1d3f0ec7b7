"""Resumable uploads: tus 1.0.0 (https://tus.io/protocols/resumable-upload).

Core, creation, creation-with-upload, creation-defer-length, expiration, checksum, termination, concatenation.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import svcs
from flask import Blueprint, Response, request
from pydantic import Field
from service_kit.access.flask_gate import needs, principal, public
from service_kit.access.principals import Scope
from service_kit.errors import FieldError
from service_kit.idempotency_key import KEY
from service_kit.numbers import whole_number
from service_kit.problems import Problem
from service_kit.request_body import validated
from service_kit.texts import counted, sentence
from werkzeug.http import http_date

from file_storage.config import Settings
from file_storage.headers.digests import checked_body
from file_storage.models import Upload
from file_storage.routers.schemas import NewFileFields, details_of
from file_storage.services.folders import folder_of, folder_of_relative
from file_storage.services.names import FileName, file_name
from file_storage.services.uploads import IDEMPOTENCY_KEY, NewUpload, UploadService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"
CHECKSUMS = {"sha1": hashlib.sha1, "md5": hashlib.md5, "sha256": hashlib.sha256}
BYTES = "application/offset+octet-stream"
FILE_ID = "Pixmill-File-Id"
"""The header with the id of the file that a finished upload has become."""

MAX_PARTS = 1000
_NAME_KEYS = ("filename", "name")
_PATH_KEY = "relativePath"
"""Uppy's metadata key for the path of a file in a dropped folder."""
_NO_PATH = "null"
"""What Uppy sends as the path of a file that was not dropped in a folder."""
_FIELDS = ("comment", "folder", "expires_in", IDEMPOTENCY_KEY)

tus = Blueprint("uploads", __name__, url_prefix="/uploads")


class _MetadataFields(NewFileFields):
    """The fields in ``Upload-Metadata``."""

    idempotency_key: Annotated[str, Field(pattern=KEY)] | None = None


class _Checksum:
    """The checksum in ``Upload-Checksum``: an algorithm's name and the digest in base64."""

    def __init__(self, header: str) -> None:
        name, _, encoded = header.partition(" ")
        if name not in CHECKSUMS:
            raise Problem(
                "unknown-checksum", 400, sentence("Upload-Checksum supports {names}.", names=", ".join(CHECKSUMS))
            )
        self._hash = CHECKSUMS[name]()
        self._expected = _decoded("Upload-Checksum", encoded)
        if len(self._expected) != self._hash.digest_size:
            detail = sentence(
                "Upload-Checksum has no {name} digest: send the algorithm's name and its digest in base64.", name=name
            )
            raise _wrong("Upload-Checksum", "no_digest", detail)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def matches(self) -> bool:
        return hmac.compare_digest(self._hash.digest(), self._expected)


def override_method(application: "WSGIApplication") -> "WSGIApplication":
    """Return WSGI middleware that applies X-HTTP-Method-Override to uploads: some clients cannot send PATCH or DELETE.

    They send POST instead. The server in front knows only that method: it would pass on a body for which the response
    to HEAD or OPTIONS does not wait.
    """

    def overridden(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        wanted = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "").upper()
        is_post = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].startswith("/uploads")
        if is_post and wanted in ("PATCH", "DELETE"):
            environ["REQUEST_METHOD"] = wanted
        return application(environ, start_response)

    return overridden


@tus.before_request
def _check_version() -> None:
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        raise Problem(
            "unsupported-tus-version",
            412,
            sentence("Send Tus-Resumable: {version}; other versions are not supported.", version=VERSION),
        )


@tus.after_request
def _add_version(response: Response) -> Response:
    response.headers["Tus-Resumable"] = VERSION
    if response.status_code == 412:
        response.headers["Tus-Version"] = VERSION
    return response


@tus.route("/", methods=["OPTIONS"])
@tus.route("/<string:upload_id>", methods=["OPTIONS"])
@public
def options(upload_id: str = "") -> Response:  # noqa: ARG001 (the answer is the same for every upload)
    max_bytes = svcs.flask.get(Settings).upload.max_bytes
    return Response(
        status=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(max_bytes),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        },
    )


@tus.post("/", provide_automatic_options=False)
@needs(Scope.FILES_WRITE)
def create() -> Response:
    service = svcs.flask.get(UploadService)
    concat = request.headers.get("Upload-Concat")
    if concat is not None and concat.startswith("final;"):
        if "Upload-Length" in request.headers:
            raise _wrong(
                "Upload-Length",
                "of_final",
                sentence("The length of a final upload is the total length of its parts; do not send a length."),
            )
        return _created(service.concatenate(principal(), _parts(concat), _new_upload(None), concat))
    if concat not in (None, "partial"):
        detail = sentence("Upload-Concat must be 'partial', or 'final;' followed by the URLs of the parts.")
        raise _wrong("Upload-Concat", "neither_partial_nor_final", detail)
    upload, offset = service.create(principal(), _new_upload(_initial_length()))
    if request.mimetype == BYTES and not upload.finished:
        upload, offset = service.append(principal(), upload.id, 0, None, checked_body(request), _checksum())
    response = _created(upload)
    if request.mimetype == BYTES:
        response.headers["Upload-Offset"] = str(offset)
    return response


@tus.route("/<string:upload_id>", methods=["HEAD"], provide_automatic_options=False)
@needs(Scope.FILES_WRITE)
def progress(upload_id: str) -> Response:
    upload, offset = svcs.flask.get(UploadService).get(principal(), upload_id)
    response = Response(status=200, headers={"Cache-Control": "no-store"})
    response.headers["Upload-Offset"] = str(offset)
    if upload.length is None:
        response.headers["Upload-Defer-Length"] = "1"
    else:
        response.headers["Upload-Length"] = str(upload.length)
    if upload.metadata_header:
        response.headers["Upload-Metadata"] = upload.metadata_header
    if upload.concat_header:
        response.headers["Upload-Concat"] = upload.concat_header
    return _with_state(response, upload)


@tus.patch("/<string:upload_id>", provide_automatic_options=False)
@needs(Scope.FILES_WRITE)
def append(upload_id: str) -> Response:
    if request.mimetype != BYTES:
        detail = sentence("Send the bytes as Content-Type: {bytes}.", bytes=BYTES)
        raise Problem("unsupported-media-type", 415, detail, context={"media_type": BYTES})
    offset = _number("Upload-Offset")
    if offset is None:
        raise _wrong("Upload-Offset", "missing", sentence("Send the Upload-Offset at which the bytes begin."))
    length, checksum = _number("Upload-Length"), _checksum()
    service = svcs.flask.get(UploadService)
    upload, reached = service.append(principal(), upload_id, offset, length, checked_body(request), checksum)
    return _with_state(Response(status=204, headers={"Upload-Offset": str(reached)}), upload)


@tus.delete("/<string:upload_id>", provide_automatic_options=False)
@needs(Scope.FILES_WRITE)
def terminate(upload_id: str) -> Response:
    svcs.flask.get(UploadService).terminate(principal(), upload_id)
    return Response(status=204)


def _created(upload: Upload) -> Response:
    location = f"{request.script_root}{tus.url_prefix}/{upload.id}"
    return _with_state(Response(status=201, headers={"Location": location}), upload)


def _with_state(response: Response, upload: Upload) -> Response:
    """Add the upload's expiry, and the id of its file, if any."""
    response.headers["Upload-Expires"] = http_date(upload.expires_at)
    if upload.file_id is not None:
        response.headers[FILE_ID] = str(upload.file_id)
        response.headers["Content-Location"] = f"{request.script_root}/{upload.file_id}"
    return response


def _checksum() -> _Checksum | None:
    header = request.headers.get("Upload-Checksum")
    return None if header is None else _Checksum(header)


def _initial_length() -> int | None:
    length, deferred = _number("Upload-Length"), request.headers.get("Upload-Defer-Length")
    if (length is None) == (deferred is None) or deferred not in (None, "1"):
        detail = sentence("Send either Upload-Length, or Upload-Defer-Length: 1.")
        raise _wrong("Upload-Length", "length_or_deferred", detail)
    return length


def _new_upload(length: int | None) -> NewUpload:
    header = request.headers.get("Upload-Metadata", "")
    metadata = _metadata(header)
    path = metadata.get(_PATH_KEY, "").strip("/")
    client_name = next((metadata[key] for key in _NAME_KEYS if metadata.get(key)), "")
    own_name = client_name or ("" if path == _NO_PATH else path)
    name = file_name(own_name, None) if own_name else FileName("upload", "")
    fields = validated(_MetadataFields, {"comment": "", **{key: metadata[key] for key in _FIELDS if key in metadata}})
    folder = folder_of(client_name) or folder_of_relative(path)
    details = details_of(fields, folder)
    partial = request.headers.get("Upload-Concat") == "partial"
    return NewUpload(
        length, name, fields.comment or "", header, partial, folder=details.folder or "", expires_in=details.expires_in
    )


def _metadata(header: str) -> dict[str, str]:
    metadata = {}
    for pair in filter(None, (pair.strip() for pair in header.split(","))):
        key, _, encoded = pair.partition(" ")
        try:
            metadata[key] = _decoded("Upload-Metadata", encoded).decode()
        except UnicodeDecodeError as error:
            detail = sentence("Upload-Metadata: '{key}' is not UTF-8.", key=key)
            raise _wrong("Upload-Metadata", "not_utf8", detail) from error
        if "\0" in metadata[key]:
            detail = sentence("Upload-Metadata: '{key}' has a NUL character.", key=key)
            raise _wrong("Upload-Metadata", "nul_character", detail)
    return metadata


def _parts(concat: str) -> list[str]:
    parts = [url.rstrip("/").rsplit("/", 1)[-1] for url in concat.removeprefix("final;").split()]
    if not 0 < len(parts) <= MAX_PARTS:
        detail = counted(
            "A final upload must have 1 to {max_parts} parts.",
            "A final upload must have 1 to {max_parts} parts.",
            "max_parts",
            max_parts=MAX_PARTS,
        )
        raise _wrong("Upload-Concat", "too_many_parts", detail)
    return parts


def _number(header: str) -> int | None:
    value = request.headers.get(header)
    if value is None:
        return None
    number = whole_number(value)
    if number is None:
        raise _wrong(header, "no_number_of_bytes", sentence("{header} must be a whole number of bytes.", header=header))
    return number


def _decoded(header: str, encoded: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        detail = sentence("{header} has a value that is not base64.", header=header)
        raise _wrong(header, "not_base64", detail) from error


def _wrong(header: str, code: str, detail: str) -> Problem:
    """Return the problem for an invalid header value."""
    errors = [FieldError(pointer=f"/{header}", detail=detail, code=code)]
    return Problem(f"invalid-{header.lower()}", 400, detail, errors, context={"header": header})
