"""The endpoints for many files in one request and one transaction."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, RootModel
from service_kit.access.flask_gate import needs, principal
from service_kit.access.gate import require
from service_kit.access.principals import InnerScope, Scope
from service_kit.api import ProblemOut, preferred_language, problem_responses
from service_kit.database import MAX_ID
from service_kit.errors import DomainError, FieldError, fields_below
from service_kit.idempotency_key import KEY
from service_kit.json_types import WHOLE_NUMBER
from service_kit.openapi import reference_to
from service_kit.problems import Problem, problem_of
from service_kit.request_body import described, json_body, validated
from service_kit.texts import sentence

from file_storage.config import Settings
from file_storage.intake.bodies import FORM_COPIES, check_files, form_of, receive_files
from file_storage.models import File
from file_storage.routers.announced import asked_size, promised
from file_storage.routers.rows import as_json
from file_storage.routers.schemas import (
    Claims,
    CopyIn,
    FileOut,
    NewFileFields,
    details_of,
    details_of_copy,
    hide_claims,
    json_part,
    name_of_copy,
    use_of_copy,
)
from file_storage.routers.statuses import STATUSES
from file_storage.services.errors import file_not_found
from file_storage.services.files import FileService
from file_storage.services.folders import folder_of
from file_storage.services.idempotency import IdempotencyKeys, KeyUse
from file_storage.services.names import file_name
from file_storage.services.storing import Details, NewCopy, NewFile, StoringService
from file_storage.storage import StagedBlob, Staging

batch = APIBlueprint("batch", __name__, abp_tags=[Tag(name="files")])

MAX_FILES = 100


class BatchFields(Claims, NewFileFields):
    """The fields of a file in a request with many files."""

    model_config = ConfigDict(json_schema_extra=hide_claims)

    idempotency_key: Annotated[str, Field(pattern=KEY)] | None = Field(
        None, description="Like the Idempotency-Key header of a single upload."
    )


class BatchIn(RootModel[list[BatchFields]]):
    """One object per file, in the order of the form."""


_FORM_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file"],
    "properties": {
        "file": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_FILES,
            "items": {"type": "string", "format": "binary"},
        },
        "json": json_part(
            BatchIn, "The fields of the files: one object per file, in the same order.", minItems=1, maxItems=MAX_FILES
        ),
    },
}
_FORM = {"multipart/form-data": {"schema": reference_to("NewFilesForm", _FORM_SCHEMA)}}


class CopyOf(Claims, CopyIn):
    """A copy in a request for many copies."""

    model_config = ConfigDict(json_schema_extra=hide_claims)

    file_id: Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER] = Field(description="The file to copy.")
    idempotency_key: Annotated[str, Field(pattern=KEY)] | None = Field(
        None, description="Like the Idempotency-Key header of a single copy."
    )


class CopiesIn(BaseModel):
    """Copies to make, in this order."""

    model_config = ConfigDict(extra="forbid")

    copies: list[CopyOf] = Field(min_length=1, max_length=MAX_FILES)


class StoredOut(BaseModel):
    """The result for one of many files: the stored file, or a problem."""

    file: FileOut | None = None
    problem: ProblemOut | None = None


class BatchOut(BaseModel):
    """The result for each file, in the order of the request."""

    files: list[StoredOut]


@batch.post(
    "/batch",
    summary="Add many files at once",
    description=f"Send at most {MAX_FILES} parts named file, and optionally a part named json: an array with one"
    " object per file, in the same order, with the optional fields name, comment, folder, expires_in and"
    " idempotency_key. All files are stored in one transaction, except those rejected because of their"
    " idempotency_key; the response has a problem for each of these.",
    openapi_extensions={"requestBody": {"required": True, "content": _FORM}},
    responses={200: BatchOut, **problem_responses(400, 409, 413, 415, 422, 507)},
)
@needs(Scope.FILES_WRITE, InnerScope.RESULTS_STORE)
def add_files() -> dict[str, object] | Response:
    storing, settings, staging = svcs.flask.get(StoringService, Settings, Staging)
    if (size := asked_size(settings)) is not None:
        check_files(request)
        return promised(size, copies=FORM_COPIES)
    with (
        storing.room(principal(), *form_of(request, settings.upload)) as reserved,
        receive_files(request, staging, settings.upload, MAX_FILES) as (parts, json_part),
    ):
        stored = storing.store_all(principal(), _new_files(parts, json_part), reserved)
    return {"files": [_result(file) for file in stored]}


@batch.post(
    "/copies",
    summary="Copy many files",
    description=f"At most {MAX_FILES} copies, in one transaction. The response has a problem for each copy that fails.",
    responses={200: BatchOut, **problem_responses(400, 404, 409, 413, 415, 422, 507)},
    openapi_extensions=described(CopiesIn),
)
@needs(Scope.FILES_WRITE, InnerScope.RESULTS_STORE)
def copy_files() -> dict[str, object]:
    require(principal(), Scope.FILES_READ, InnerScope.RESULTS_STORE)
    wanted = json_body(CopiesIn).copies
    _check_keys([copy.idempotency_key for copy in wanted])
    uses = [use_of_copy(copy.idempotency_key, copy.file_id, copy) for copy in wanted]
    files, storing, keys = svcs.flask.get(FileService, StoringService, IdempotencyKeys)
    earlier = keys.answers(principal(), [use for use in uses if use is not None])
    new = [number for number, use in enumerate(uses) if use is None or use.key not in earlier]
    sources = {file.id: file for file in files.existing(principal(), [wanted[number].file_id for number in new])}
    planned = [_planned(f"/copies/{number}", wanted[number], sources, uses[number]) for number in new]
    copied = iter(storing.copy_all(principal(), [copy for copy in planned if isinstance(copy, NewCopy)]))
    made = iter([next(copied) if isinstance(copy, NewCopy) else copy for copy in planned])
    return {"files": [_result(earlier.get(copy.idempotency_key or "") or next(made)) for copy in wanted]}


def _new_files(parts: Sequence[tuple[StagedBlob, str]], json_part: object) -> Sequence[NewFile]:
    """Return the files of a form.

    :param json_part: the parsed part ``json``; ``None`` if the form has none.
    """
    descriptions = validated(BatchIn, [{}] * len(parts) if json_part is None else json_part).root
    if len(descriptions) != len(parts):
        detail = sentence(
            "The form has files: {files}, and objects in its JSON part: {objects}; send one object for each file.",
            objects=len(descriptions),
            files=len(parts),
        )
        raise Problem("invalid-fields", 422, detail, [FieldError(pointer="", detail=detail, code="not_one_for_each")])
    _check_keys([fields.idempotency_key for fields in descriptions])
    return [
        _new_file(number, staged, client_name, fields)
        for number, ((staged, client_name), fields) in enumerate(zip(parts, descriptions, strict=True))
    ]


def _new_file(number: int, staged: StagedBlob, client_name: str, fields: BatchFields) -> NewFile:
    with fields_below(f"/{number}"):
        name = file_name(client_name, fields.name)
        details = _claimed(details_of(fields, folder_of(client_name)), fields)
    return NewFile(staged, name, fields.comment or "", fields.idempotency_key, details)


def _planned(pointer: str, copy: CopyOf, sources: Mapping[int, File], use: KeyUse | None) -> NewCopy | DomainError:
    """Return the copy to make, or the problem of its source.

    :raises DomainError: ``invalid-fields``, whether or not the source exists.
    """
    source = sources.get(copy.file_id)
    with fields_below(pointer):
        details = _claimed(details_of_copy(copy), copy)
        name = name_of_copy(source, copy)
    return file_not_found(copy.file_id) if source is None else NewCopy(source, name, use, details)


def _claimed(details: Details, claims: Claims) -> Details:
    return details._replace(source_id=claims.source_id, task_id=claims.task_id, batch_id=claims.batch_id)


def _check_keys(keys: Sequence[str | None]) -> None:
    given = [key for key in keys if key is not None]
    if len(set(given)) != len(given):
        detail = sentence("Two files of the request have the same idempotency_key.")
        raise Problem("invalid-fields", 422, detail, [FieldError(pointer="", detail=detail, code="repeated_keys")])


def _result(stored: File | DomainError) -> dict[str, object]:
    if isinstance(stored, DomainError):
        return {"problem": problem_of(stored, STATUSES).document(preferred_language())}
    return {"file": as_json(stored)}
