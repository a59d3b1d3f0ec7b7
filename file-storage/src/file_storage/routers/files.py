"""The endpoints of a single file: get, change, copy and delete it."""

from itertools import chain
from typing import Annotated, Self

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, model_validator
from service_kit.access.flask_gate import needs, principal
from service_kit.access.gate import require
from service_kit.access.principals import InnerScope, Scope
from service_kit.api import problem_responses
from service_kit.database import MAX_ID
from service_kit.errors import RuleError
from service_kit.idempotency_key import KEY, idempotency_key, takes_key
from service_kit.json_types import OPTIONAL, WHOLE_NUMBER
from service_kit.paging import array_in_pieces, begun
from service_kit.request_body import described, json_body
from service_kit.texts import sentence

from file_storage.routers.rows import as_json, with_owner
from file_storage.routers.schemas import (
    CopyIn,
    FileFields,
    FileOut,
    FilePath,
    created,
    details_of_copy,
    file_response,
    name_of_copy,
    use_of_copy,
)
from file_storage.services.files import LOOKUP_PART, FileService
from file_storage.services.folders import wanted_folder
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.storing import NewCopy, StoringService
from file_storage.services.trash import TrashService

files = APIBlueprint("files", __name__, abp_tags=[Tag(name="files")])

LOOKUP_LIMIT = 10_000


class LookupIn(BaseModel):
    """Files to look up, by their ids or by the SHA-256 of their bytes."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"anyOf": [{"required": ["ids"]}, {"required": ["sha256"]}]}
    )

    ids: list[Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]] = Field([], max_length=LOOKUP_LIMIT)
    sha256: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        [], max_length=LOOKUP_LIMIT, description="Of several files with the same bytes, only the first is found."
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.model_fields_set:
            raise RuleError("ids_or_sha256", sentence("give ids or sha256"), ["ids", "sha256"])
        return self


class FoundOut(FileOut):
    """A file that was looked up."""

    model_config = ConfigDict(title="FoundFile")

    owner: Annotated[str | None, OPTIONAL] = Field(
        None, description="The owner of the file; only in answers to Pixmill's own processes."
    )


class LookupOut(BaseModel):
    """The files found, in ascending order of their ids."""

    files: list[FoundOut]


class IdempotencyKeyPath(BaseModel):
    key: str = Field(pattern=KEY, description="An Idempotency-Key: 1 to 255 ASCII characters.")


@files.post(
    "/lookup",
    summary="Look up which of these files exist",
    responses={200: LookupOut, **problem_responses(400, 413, 415, 422)},
    openapi_extensions=described(LookupIn),
)
@needs(Scope.FILES_READ, InnerScope.FILES_LOOKUP)
def lookup() -> Response:
    wanted = json_body(LookupIn)
    found = begun(svcs.flask.get(FileService).looked_up(principal(), wanted.ids, wanted.sha256))
    rows = map(with_owner if principal().is_service else as_json, found)
    files = chain([b'{"files": '], array_in_pieces(rows), [b"}"])
    is_short = len(wanted.ids) + len(wanted.sha256) <= LOOKUP_PART
    return Response(b"".join(files) if is_short else files, mimetype="application/json")


@files.get(
    "/idempotency-keys/<string:key>",
    summary="Get the data of the file that an upload with this key made",
    responses={200: FileOut, **problem_responses(404, 422)},
)
@needs(Scope.FILES_READ, InnerScope.RESULTS_STORE)
def get_file_of_key(path: IdempotencyKeyPath) -> Response:
    return file_response(svcs.flask.get(IdempotencyKeys).file(principal(), path.key), 200)


@files.delete(
    "/idempotency-keys/<string:key>",
    summary="Delete the file that an upload with this key made, and revoke the key",
    responses={204: None, **problem_responses(409, 422)},
)
@needs(Scope.FILES_DELETE, InnerScope.RESULTS_DISCARD)
def revoke_key(path: IdempotencyKeyPath) -> Response:
    svcs.flask.get(FileService).revoke(principal(), path.key)
    return Response(status=204)


# Answer 405: a path that is not an id may be a name, which only PUT accepts.
@files.get("/<int:id>", summary="Get a file's data", responses={200: FileOut, **problem_responses(404, 405)})
@needs(Scope.FILES_READ)
def get_file(path: FilePath) -> Response:
    return file_response(svcs.flask.get(FileService).get(principal(), path.id), 200)


@files.patch(
    "/<int:id>",
    summary="Change a file's name, comment or folder",
    responses={200: FileOut, **problem_responses(400, 404, 405, 413, 415, 422)},
    openapi_extensions=described(FileFields),
)
@needs(Scope.FILES_WRITE)
def change_file(path: FilePath) -> Response:
    fields = json_body(FileFields)
    folder = None if fields.folder is None else wanted_folder(fields.folder)
    changed = svcs.flask.get(FileService).change(principal(), path.id, fields.name, fields.comment, folder)
    return file_response(changed, 200)


@files.post(
    "/<int:id>/copy",
    summary="Copy a file",
    responses={201: FileOut, **problem_responses(400, 404, 409, 413, 415, 422, 507)},
    openapi_extensions=described(CopyIn) | takes_key(is_revocable=True),
)
@needs(Scope.FILES_WRITE)
def copy_file(path: FilePath) -> Response:
    require(principal(), Scope.FILES_READ)
    key, wanted = idempotency_key(request), json_body(CopyIn)
    files, storing, keys = svcs.flask.get(FileService, StoringService, IdempotencyKeys)
    use = use_of_copy(key, path.id, wanted)
    earlier = keys.answer(principal(), use)
    if earlier is not None:
        return created(earlier)
    details = details_of_copy(wanted)
    source = files.get(principal(), path.id)
    return created(storing.copy(principal(), NewCopy(source, name_of_copy(source, wanted), use, details)))


@files.delete(
    "/<int:id>",
    summary="Delete a file",
    description="The file stays in the trash for the time that the setting trash.seconds specifies.",
    responses={204: None, **problem_responses(404, 405)},
)
@needs(Scope.FILES_DELETE)
def delete_file(path: FilePath) -> Response:
    svcs.flask.get(TrashService).delete(principal(), path.id)
    return Response(status=204)
