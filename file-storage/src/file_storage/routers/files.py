"""One file: looked at, renamed, copied, deleted."""

import re
from typing import Annotated

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.api import problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import NO_NUL, WHOLE_NUMBER
from service_kit.problems import Problem
from service_kit.request_body import described, json_body

from file_storage.models import File
from file_storage.routers.schemas import FileOut, as_json, created, file_response
from file_storage.services.files import FileService
from file_storage.services.names import MAX_LENGTH, FileName, renamed

files = APIBlueprint("files", __name__, abp_tags=[Tag(name="files")])

LOOKUP_LIMIT = 10_000
MAX_KEY_LENGTH = 255
KEY = rf"^[\x20-\x7e]{{1,{MAX_KEY_LENGTH}}}$"
"""An Idempotency-Key."""

VISIBLE = r"[^\s.\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Told to clients alone: a name without such a character is refused with a sentence of its own."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH, json_schema_extra={"pattern": VISIBLE})]
Comment = Annotated[str, Field(max_length=10_000, pattern=NO_NUL)]


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
    key: str = Field(pattern=KEY, description="An Idempotency-Key: 1 to 255 ASCII characters.")


@files.post(
    "/lookup",
    summary="Which of these ids are files",
    responses={200: LookupOut, **problem_responses(400, 413, 415, 422)},
    openapi_extensions=described(LookupIn),
)
def lookup() -> dict[str, object]:
    ids = json_body(LookupIn).ids
    return {"files": [as_json(file) for file in svcs.flask.get(FileService).existing(ids)]}


@files.get(
    "/idempotency-keys/<string:key>",
    summary="Get the data of the file that an upload with this key made",
    responses={200: FileOut, **problem_responses(404, 422)},
)
def get_file_of_key(path: KeyPath) -> Response:
    return file_response(svcs.flask.get(FileService).made_with(path.key), 200)


@files.delete(
    "/idempotency-keys/<string:key>",
    summary="Delete what an upload with this key made, and let nothing be made with it any more",
    responses={204: None, **problem_responses(409, 422)},
)
def revoke_key(path: KeyPath) -> Response:
    svcs.flask.get(FileService).revoke(path.key)
    return Response(status=204)


# 405: what is no id may be a name, which only PUT takes.
@files.get("/<int:id>", summary="Get a file's data", responses={200: FileOut, **problem_responses(404, 405)})
def get_file(path: FilePath) -> Response:
    return file_response(svcs.flask.get(FileService).get(path.id), 200)


@files.patch(
    "/<int:id>",
    summary="Change a file's name or comment",
    responses={200: FileOut, **problem_responses(400, 404, 405, 413, 415, 422)},
    openapi_extensions=described(FileFields),
)
def change_file(path: FilePath) -> Response:
    fields = json_body(FileFields)
    return file_response(svcs.flask.get(FileService).change(path.id, fields.name, fields.comment), 200)


@files.post(
    "/<int:id>/copy",
    summary="Make a new file with the same bytes",
    responses={201: FileOut, **problem_responses(400, 404, 409, 413, 415, 422)},
    openapi_extensions=described(CopyIn),
)
def copy_file(path: FilePath) -> Response:
    wanted = json_body(CopyIn)
    service = svcs.flask.get(FileService)
    source = service.get(path.id)
    return created(service.copy(path.id, name_of_copy(source, wanted), idempotency_key()))


@files.delete("/<int:id>", summary="Delete a file", responses={204: None, **problem_responses(404, 405)})
def delete_file(path: FilePath) -> Response:
    svcs.flask.get(FileService).delete(path.id)
    return Response(status=204)


def name_of_copy(source: File, wanted: CopyIn) -> FileName:
    """What a copy is called.

    :raises Problem: 422, the name cannot be stored.
    """
    extension = source.extension if wanted.extension is None else wanted.extension
    return FileName(renamed(wanted.name or source.name, extension), extension.lower())


def idempotency_key() -> str | None:
    """The request's Idempotency-Key, if it has one (draft-ietf-httpapi-idempotency-key-header).

    :raises Problem: 400, it is none.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(KEY, key):
        raise Problem("invalid-idempotency-key", 400, f"Idempotency-Key takes 1 to {MAX_KEY_LENGTH} ASCII characters.")
    return key
