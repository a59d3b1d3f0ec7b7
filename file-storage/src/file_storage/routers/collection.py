"""The collection of files: list it, and add a file as a multipart form or as a raw body."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BeforeValidator, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import array_response, problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import NO_NUL, OPTIONAL
from service_kit.paging import PageQuery, list_response
from service_kit.query import Query
from service_kit.request_body import validated
from service_kit.texts import sentence

from file_storage.config import Settings
from file_storage.headers.idempotency import idempotency_key
from file_storage.intake.bodies import check_form_size, least_size_in_form, receive_form
from file_storage.intake.read_ahead import ReadAhead
from file_storage.routers.raw_body import store_body
from file_storage.routers.schemas import (
    MAX_COMMENT,
    VISIBLE,
    FileFields,
    FileOut,
    Name,
    ShortComment,
    as_json,
    created,
)
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter, Sort
from file_storage.services.names import MAX_LENGTH, file_name
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging

collection = APIBlueprint("collection", __name__, abp_tags=[Tag(name="files")])

_FORM = "multipart/form-data"
_FORM_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "name": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": VISIBLE},
        "comment": {"type": "string", "maxLength": MAX_COMMENT, "pattern": NO_NUL},
    },
}
_LIST = array_response({"$ref": "#/components/schemas/File"})
_BINARY = {"schema": {"type": "string", "format": "binary"}}
# Generators of clients do not know what */* is.
_RAW = {"application/octet-stream": _BINARY, "*/*": _BINARY}
_PROBLEMS = problem_responses(400, 409, 413, 415, 422, 507)


def _not_a_number(value: object) -> object:
    if isinstance(value, str) and value.lstrip("-").replace(".", "").isdigit():
        raise ValueError(sentence("should be a date and time (RFC 3339), such as 2026-01-31T12:00:00Z"))
    return value


_Text = Annotated[Annotated[str, Field(max_length=255, pattern=NO_NUL)] | None, OPTIONAL]
_Time = Annotated[Annotated[datetime, BeforeValidator(_not_a_number)] | None, OPTIONAL]
_Size = Annotated[Annotated[int, Field(ge=0, le=MAX_ID)] | None, OPTIONAL]


class FileQuery(PageQuery[str]):
    """Which files are listed, and in which order."""

    after: str = Field(
        "",
        max_length=2000,
        pattern=r"^[A-Za-z0-9_=-]*$",
        description="A cursor: only files after it; the Link header has the next page's URL.",
    )
    sort: Sort = Field("id", description="The field to sort by; with a minus sign in descending order.")
    name: _Text = Field(None, description="Only files whose name contains this, regardless of case.")
    extension: _Text = Field(None, description="Only files with this extension.")
    media_type: _Text = Field(None, description="Only files of this media type; image/* matches all images.")
    created_after: _Time = Field(None, description="Only files created after this time (RFC 3339).")
    created_before: _Time = Field(None, description="Only files created before this time (RFC 3339).")
    size_min: _Size = Field(None, description="Only files of at least this many bytes.")
    size_max: _Size = Field(None, description="Only files of at most this many bytes.")

    def filter(self) -> FileFilter:
        return FileFilter(
            name=self.name,
            extension=self.extension,
            media_type=self.media_type,
            created_after=_epoch(self.created_after),
            created_before=_epoch(self.created_before),
            size_min=self.size_min,
            size_max=self.size_max,
            sort=self.sort,
        )


class RoomQuery(Query):
    """The size of a body that nginx is about to receive, and whether its form has one file or many."""

    bytes: int = Field(ge=0, le=MAX_ID)
    files: Literal["one", "many"] = "one"


class RawQuery(Query):
    """The name and comment of a file that is sent as a raw body."""

    name: Name = Field(description="The file's name with its extension.")
    comment: ShortComment = Field("", description="At most 500 characters; PATCH sets a longer comment.")


@collection.get("/", summary="List files", responses={200: _LIST, **problem_responses(404, 422)})
@needs(Scope.FILES_READ)
def list_files(query: FileQuery) -> Response:
    file_filter = query.filter()
    page = partial(svcs.flask.get(FileService).page, principal(), file_filter)
    return list_response(page, file_filter.cursor, as_json, query, f"{request.script_root}/")


@collection.get("/room", summary="Check, for nginx, whether there is room for a body", doc_ui=False)
@needs(Scope.FILES_WRITE)
def check_room(query: RoomQuery) -> Response:
    storing, settings, ahead = svcs.flask.get(StoringService, Settings, ReadAhead)
    if query.files == "one":
        check_form_size(query.bytes, settings.upload)
    storing.check_room(principal(), query.bytes)
    if query.files == "one":
        ahead.expect()
    return Response(status=204)


@collection.post(
    "/",
    summary="Add a file",
    description="Send a multipart form. With name in the query, a body of another type is the file itself, as in PUT.",
    openapi_extensions={"requestBody": {"required": True, "content": {_FORM: {"schema": _FORM_SCHEMA}}}},
    responses={201: FileOut, **_PROBLEMS},
)
@needs(Scope.FILES_WRITE)
def add_file() -> Response:
    if "name" in request.args and request.mimetype != _FORM:
        query = validated(RawQuery, request.args.to_dict())
        return store_body(query.name, query.comment)
    key = idempotency_key(request)
    storing, settings, staging, ahead = svcs.flask.get(StoringService, Settings, Staging, ReadAhead)
    storing.check_room(principal(), least_size_in_form(request))
    with receive_form(request, staging, settings.upload, ahead) as (staged, form):
        fields = validated(FileFields, form.fields)
        name = file_name(form.filename, fields.name)
        return created(storing.store(principal(), NewFile(staged, name, fields.comment or "", key)))


@collection.put(
    "/",
    summary="Add a file whose bytes are the body",
    openapi_extensions={"requestBody": {"content": _RAW}},
    responses={201: FileOut, **_PROBLEMS},
)
@needs(Scope.FILES_WRITE)
def put_file(query: RawQuery) -> Response:
    return store_body(query.name, query.comment)


def _epoch(time: datetime | None) -> float | None:
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
