"""The endpoints of the file server."""

import mimetypes
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from service_kit.api import problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import WHOLE_NUMBER
from service_kit.paging import PageQuery, list_response
from service_kit.problems import Problem
from service_kit.request_body import invalid_fields, json_body
from werkzeug.http import http_date, is_resource_modified, quote_etag
from werkzeug.wsgi import wrap_file

from file_storage.config import Settings
from file_storage.models import File
from file_storage.routers.multipart import Form, read_form
from file_storage.routers.ranges import MAX_RANGES, multipart, single, spans, unsatisfiable
from file_storage.services.files import FileService
from file_storage.services.names import MAX_LENGTH, FileName, file_name, renamed
from file_storage.storage import BlobStore, StorageFullError

files = APIBlueprint("files", __name__, abp_tags=[Tag(name="files")])

LOOKUP_LIMIT = 10_000
MAX_KEY_LENGTH = 255

Name = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
Comment = Annotated[str, Field(max_length=10_000)]


class FileOut(BaseModel):
    """A file."""

    model_config = ConfigDict(title="File")

    id: int
    name: str = Field(description="Without the extension.")
    extension: str = Field(description="With its dot, in lower case; empty where there is none.")
    comment: str
    size: int = Field(description="In bytes.")
    sha256: str = Field(description="SHA-256 of the bytes, in hexadecimal.")
    created_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    updated_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")


class FileFields(BaseModel):
    """What can be said of a file; a missing key leaves it as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="1 to 255 characters; without or with the file's extension.")
    comment: Comment | None = Field(None, description="Up to 10,000 characters.")


class FilePath(BaseModel):
    id: int = Field(description="The file's id.")


class LookupIn(BaseModel):
    """File ids to look for."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]] = Field(max_length=LOOKUP_LIMIT)


class LookupOut(BaseModel):
    """Those of the ids that are files, in ascending order."""

    files: list[FileOut]


class CopyIn(BaseModel):
    """What the copy is called; without a name as the file it is a copy of."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="1 to 255 characters; without or with the extension.")
    extension: str | None = Field(None, pattern=r"^(\.[^/\\\x00]{1,254})?$", description="With its dot, or empty.")


class KeyPath(BaseModel):
    key: str = Field(pattern=r"^[\x20-\x7e]{1,255}$", description="An Idempotency-Key: 1 to 255 ASCII characters.")


_UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "name": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH},
                    "comment": {"type": "string", "maxLength": 10_000},
                },
            }
        }
    },
}
_LIST = {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/File"}}}}}
_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}


@files.post(
    "/",
    summary="Add a file",
    openapi_extensions={"requestBody": _UPLOAD_BODY},
    responses={201: FileOut, **problem_responses(400, 409, 413, 415, 422, 507)},
)
def upload() -> Response:
    settings = svcs.flask.get(Settings)
    key = _idempotency_key()
    try:
        with svcs.flask.get_abstract(BlobStore).stage() as staged:
            form = read_form(request, staged, settings.upload.max_bytes)
            fields = _checked_fields(form)
            name = file_name(form.filename, fields.name)
            return _created(svcs.flask.get(FileService).store(staged, name, fields.comment or "", key))
    except StorageFullError as error:
        raise Problem("storage-full", 507, "The server has no room for this file; nothing of it was kept.") from error


@files.get("/", summary="List all files", responses={200: _LIST, **problem_responses(422)})
def list_files(query: PageQuery) -> Response:
    return list_response(svcs.flask.get(FileService).page, _as_json, query, f"{request.script_root}/")


@files.post(
    "/lookup",
    summary="Which of these ids are files",
    responses={200: LookupOut, **problem_responses(400, 413, 415, 422)},
    openapi_extensions={
        "requestBody": {"required": True, "content": {"application/json": {"schema": LookupIn.model_json_schema()}}}
    },
)
def lookup() -> dict[str, object]:
    ids = json_body(LookupIn).ids
    return {"files": [_as_json(file) for file in svcs.flask.get(FileService).existing(ids)]}


@files.delete(
    "/idempotency-keys/<string:key>",
    summary="Delete what an upload with this key made, and let nothing be made with it any more",
    responses={204: None, **problem_responses(409, 422)},
)
def revoke_key(path: KeyPath) -> Response:
    svcs.flask.get(FileService).revoke(path.key)
    return Response(status=204)


@files.get("/<int:id>", summary="Get a file's data", responses={200: FileOut, **problem_responses(404)})
def get_file(path: FilePath) -> Response:
    return _file_response(svcs.flask.get(FileService).get(path.id), 200)


@files.patch(
    "/<int:id>",
    summary="Change a file's name or comment",
    responses={200: FileOut, **problem_responses(400, 404, 413, 415, 422)},
    openapi_extensions={
        "requestBody": {"required": True, "content": {"application/json": {"schema": FileFields.model_json_schema()}}}
    },
)
def change_file(path: FilePath) -> Response:
    fields = json_body(FileFields)
    return _file_response(svcs.flask.get(FileService).change(path.id, fields.name, fields.comment), 200)


@files.post(
    "/<int:id>/copy",
    summary="Make a new file with the same bytes",
    responses={201: FileOut, **problem_responses(400, 404, 409, 413, 415, 422)},
    openapi_extensions={
        "requestBody": {"required": True, "content": {"application/json": {"schema": CopyIn.model_json_schema()}}}
    },
)
def copy_file(path: FilePath) -> Response:
    wanted = json_body(CopyIn)
    service = svcs.flask.get(FileService)
    source = service.get(path.id)
    extension = source.extension if wanted.extension is None else wanted.extension
    name = FileName(renamed(wanted.name or source.name, extension), extension.lower())
    return _created(service.copy(path.id, name, _idempotency_key()))


@files.delete("/<int:id>", summary="Delete a file", responses={204: None, **problem_responses(404)})
def delete_file(path: FilePath) -> Response:
    svcs.flask.get(FileService).delete(path.id)
    return Response(status=204)


@files.get(
    "/<int:id>/download",
    summary="Download a file",
    responses={200: _BYTES, 206: _BYTES, 304: None, **problem_responses(404)},
)
def download(path: FilePath) -> Response:
    service = svcs.flask.get(FileService)
    file = service.get(path.id)
    created = datetime.fromtimestamp(int(file.created_at), UTC)
    headers = {"ETag": quote_etag(file.sha256), "Last-Modified": http_date(created), "Cache-Control": "no-cache"}
    if not is_resource_modified(request.environ, etag=file.sha256, last_modified=created, ignore_if_range=True):
        return Response(status=304, headers=headers)
    media_type = mimetypes.guess_type(f"_{file.extension}")[0] or "application/octet-stream"
    response = Response(status=200, headers=headers, content_type=media_type)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Content-Disposition"] = _attachment(file.name + file.extension)
    return _with_bytes(response, file, created)


def _with_bytes(response: Response, file: File, created: datetime) -> Response:
    """Lets the web server send the bytes, but for the few requests that not every web server answers alike."""
    service = svcs.flask.get(FileService)
    if request.method == "HEAD":
        response.content_length = file.size
        return response
    if "Range" in request.headers:
        wanted = request.range
        if (
            wanted is None
            or wanted.units != "bytes"
            or len(wanted.ranges) > MAX_RANGES
            or not _range_applies(file, created)
        ):
            response.response = wrap_file(request.environ, service.open(file))
            response.content_length = file.size
            return response
        parts = spans(wanted, file.size)
        if not parts:
            return unsatisfiable(response, file.size)
        if len(wanted.ranges) > 1:
            return multipart(response, service.open(file), parts, file.size)
        if (wanted.ranges[0][1] or 0) > file.size:
            return single(response, service.open(file), parts[0], file.size)
    settings = svcs.flask.get(Settings).download
    response.headers.remove("Accept-Ranges")  # the web server says so itself
    response.headers[settings.header] = f"{settings.root}/{service.location(file)}"
    return response


def _range_applies(file: File, modified: datetime) -> bool:
    """Whether If-Range (RFC 9110, 13.1.5) lets the range count."""
    condition = request.if_range
    if condition.date is not None:
        return condition.date == modified
    return condition.etag is None or condition.etag == file.sha256


def _checked_fields(form: Form) -> FileFields:
    try:
        return FileFields.model_validate(form.fields)
    except ValidationError as error:
        raise invalid_fields(error) from error


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise Problem("invalid-idempotency-key", 400, f"Idempotency-Key takes 1 to {MAX_KEY_LENGTH} ASCII characters.")
    return key


def _created(file: File) -> Response:
    response = _file_response(file, 201)
    response.headers["Location"] = f"{request.script_root}/{file.id}"
    return response


def _attachment(name: str) -> str:
    """The Content-Disposition of a download (RFC 6266): an ASCII name for old clients, the true one beside it."""
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _file_response(file: File, status: int) -> Response:
    return Response(FileOut.model_validate(_as_json(file)).model_dump_json(), status, mimetype="application/json")


def _as_json(file: File) -> dict[str, object]:
    return {
        "id": file.id,
        "name": file.name,
        "extension": file.extension,
        "comment": file.comment,
        "size": file.size,
        "sha256": file.sha256,
        "created_at": http_date(file.created_at),
        "updated_at": http_date(file.updated_at),
    }
