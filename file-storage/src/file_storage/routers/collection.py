"""The endpoints of the collection of files: list it, and add a file as a multipart form or as a raw body."""

from functools import partial
from itertools import chain
from typing import Annotated

import svcs
from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import InnerScope, Scope
from service_kit.api import array_response, problem_responses
from service_kit.idempotency_key import idempotency_key, takes_key
from service_kit.json_types import NO_NUL, OPTIONAL
from service_kit.openapi import reference_to
from service_kit.paging import PageQuery, add_next_page, list_response
from service_kit.query import Query, refuse_query, takes_any_query
from service_kit.request_body import validated

from file_storage.config import Settings
from file_storage.intake.bodies import FORM_COPIES, check_form, form_of, receive_form
from file_storage.intake.read_ahead import ReadAhead
from file_storage.routers.announced import asked_size, promised
from file_storage.routers.raw_body import store_body
from file_storage.routers.rows import as_json
from file_storage.routers.schemas import (
    FOLDER,
    MAX_COMMENT,
    MAX_EXPIRES_IN,
    NAME_LIMIT,
    VISIBLE,
    ExpiresIn,
    FileOut,
    FilterQuery,
    Folder,
    Name,
    NewFileFields,
    ShortComment,
    created,
    details_of,
    json_part,
)
from file_storage.sending.columns import columns_of, compressed
from file_storage.services.files import FileService
from file_storage.services.folders import MAX_FOLDER, folder_of
from file_storage.services.names import file_name
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging

collection = APIBlueprint("collection", __name__, abp_tags=[Tag(name="files")])

MAX_FOLDERS = 10_000
"""Maximum number of folders in one response."""

_FORM = "multipart/form-data"
_FORM_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "name": {"type": "string", "minLength": 1, "pattern": VISIBLE, "description": NAME_LIMIT},
        "comment": {"type": "string", "maxLength": MAX_COMMENT, "pattern": NO_NUL},
        "folder": {"type": "string", "maxLength": MAX_FOLDER, "pattern": FOLDER},
        "expires_in": {"type": "integer", "minimum": 1, "maximum": MAX_EXPIRES_IN},
        "json": json_part(
            NewFileFields, "The other fields as one JSON object; each field may be sent only once in the form."
        ),
    },
}
_FORM_BODY = {"required": True, "content": {_FORM: {"schema": reference_to("NewFileForm", _FORM_SCHEMA)}}}
_LIST = array_response({"$ref": "#/components/schemas/File"})
_INDEX_SCHEMA = {
    "type": "object",
    "required": ["ratios", "total"],
    "properties": {
        "ids": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "The ids of all files, in the order of the list.",
        },
        "deltas": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Returned instead of ids if delta=true.",
        },
        "ratios": {
            "type": "array",
            "items": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "description": "Each image's width divided by its height, to two decimals; null for other files.",
        },
        "total": {"type": "integer", "description": "The number of files."},
    },
}
_INDEX = {"content": {"application/json": {"schema": _INDEX_SCHEMA}}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
# Name the media type, because client generators do not understand */*.
_RAW = {"application/octet-stream": _BINARY, "*/*": _BINARY}
_PROBLEMS = problem_responses(400, 409, 413, 415, 422, 507)


class FileQuery(FilterQuery, PageQuery[str]):
    """Which files are listed, and in which order."""

    after: str = Field(
        "",
        max_length=2000,
        pattern=r"^[A-Za-z0-9_=-]*$",
        description="A cursor: only files after it; the Link header has the next page's URL.",
    )


class IndexQuery(FilterQuery):
    """Which files an index has, and in which order."""

    delta: bool = Field(
        default=False,
        description="Return deltas instead of ids: the first id, then the difference of each id from the previous one."
        " In the order of ids, the compressed response is a quarter as long.",
    )


class FolderOut(BaseModel):
    """A folder that contains files."""

    model_config = ConfigDict(title="Folder")

    folder: str
    files: int = Field(description="The number of files directly in it.")


class FoldersOut(BaseModel):
    """The folders that contain files."""

    model_config = ConfigDict(title="Folders")

    folders: list[FolderOut]
    more: bool = Field(description="Whether there are further folders; the Link header has the next page's URL.")


class FoldersQuery(Query):
    """Which page of the folders is listed."""

    limit: int = Field(MAX_FOLDERS, ge=1, le=MAX_FOLDERS, description="The maximum number of folders.")
    after: str = Field(
        "",
        max_length=MAX_FOLDER,
        pattern=NO_NUL,
        description="A cursor: only folders after it; the Link header has the next page's URL.",
    )


class RawQuery(Query):
    """The fields of a file that is sent as a raw body."""

    name: Name = Field(
        description=f"The file's name with its extension; it may be a path, such as holiday/2026/a.jpg. {NAME_LIMIT}"
    )
    comment: ShortComment = Field("", description="At most 500 characters; PATCH sets a longer comment.")
    folder: Annotated[Folder | None, OPTIONAL] = Field(
        None, description="Such as holiday/2026; by default, the folder in the name."
    )
    expires_in: ExpiresIn = Field(None, description="Seconds after which the file is deleted, at most ten years.")

    def fields(self) -> NewFileFields:
        return NewFileFields.model_validate(self.model_dump())


@collection.get("/", summary="List files", responses={200: _LIST, **problem_responses(404, 422)})
@needs(Scope.FILES_READ)
def list_files(query: FileQuery) -> Response:
    file_filter = query.filter()
    page = partial(svcs.flask.get(FileService).page, principal(), file_filter)
    return list_response(page, file_filter.cursor, as_json, query, f"{request.script_root}/")


@collection.get(
    "/index",
    summary="Get the ids of all files, and the shape of each image",
    description="As columns, in the order of the list. A client gets the whole list in one small response, and"
    " requests the files that it displays with POST /lookup. The response is compressed if the client accepts gzip.",
    responses={200: _INDEX, **problem_responses(422)},
)
@needs(Scope.FILES_READ)
def index_files(query: IndexQuery) -> Response:
    parts = svcs.flask.get(FileService).index(principal(), query.filter())
    # Read the first rows now: after the response has started, its status cannot report a database error.
    pieces = columns_of(chain([next(parts)], parts), as_deltas=query.delta)
    is_compressed = request.accept_encodings["gzip"] > 0
    response = Response(compressed(pieces) if is_compressed else pieces, mimetype="application/json")
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response


@collection.get(
    "/folders",
    summary="List the folders that contain files",
    description="Sorted by name, each with the number of files directly in it.",
    responses={200: FoldersOut, **problem_responses(422)},
)
@needs(Scope.FILES_READ)
def list_folders(query: FoldersQuery) -> Response:
    found = svcs.flask.get(FileService).folders(principal(), query.after, query.limit + 1)
    folders, more = found[: query.limit], len(found) > query.limit
    response = jsonify(folders=[{"folder": folder, "files": files} for folder, files in folders], more=more)
    if more:
        add_next_page(response, f"{request.script_root}/folders", query, folders[-1][0])
    return response


@collection.post(
    "/",
    summary="Add a file",
    description="Send a multipart form. If the query has a name and the body is not a form, the body is the file"
    " itself, as in PUT.",
    openapi_extensions={"requestBody": _FORM_BODY, **takes_key(is_revocable=True)},
    responses={201: FileOut, **_PROBLEMS},
)
@takes_any_query
@needs(Scope.FILES_WRITE)
def add_file() -> Response:
    if "name" in request.args and request.mimetype != _FORM:
        query = validated(RawQuery, request.args.to_dict())
        return store_body(query.fields())
    refuse_query()
    key = idempotency_key(request)
    storing, settings, staging, ahead = svcs.flask.get(StoringService, Settings, Staging, ReadAhead)
    if (size := asked_size(settings)) is not None:
        check_form(request, size, settings.upload)
        return promised(size, copies=FORM_COPIES, ahead=ahead, key=key)
    with (
        storing.room(principal(), *form_of(request, settings.upload), key=key) as reserved,
        receive_form(request, staging, settings.upload, ahead) as (staged, form),
    ):
        fields = validated(NewFileFields, form.fields)
        name, details = file_name(form.filename, fields.name), details_of(fields, folder_of(form.filename))
        new = NewFile(staged, name, fields.comment or "", key, details)
        return created(storing.store(principal(), new, reserved))


@collection.put(
    "/",
    summary="Add a file, sent as the request body",
    openapi_extensions={"requestBody": {"content": _RAW}, **takes_key(is_revocable=True)},
    responses={201: FileOut, **_PROBLEMS},
)
@needs(Scope.FILES_WRITE, InnerScope.RESULTS_STORE)
def put_file(query: RawQuery) -> Response:
    return store_body(query.fields())
