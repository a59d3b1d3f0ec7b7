"""Many files in one request and one transaction."""

from collections.abc import Sequence
from typing import Annotated

import svcs
from flask import request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, RootModel
from service_kit.api import ProblemOut, problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import WHOLE_NUMBER
from service_kit.problems import Problem
from service_kit.request_body import described, json_body, validated

from file_storage.config import Settings
from file_storage.intake.bodies import receive_files
from file_storage.models import File
from file_storage.routers.files import KEY, CopyIn, FileFields, name_of_copy
from file_storage.routers.schemas import FileOut, as_json
from file_storage.services.files import Copy, FileService, Upload, not_found
from file_storage.services.names import file_name
from file_storage.storage import StagedBlob, Staging

batch = APIBlueprint("batch", __name__, abp_tags=[Tag(name="files")])

MAX_FILES = 100

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
    },
}


class BatchFields(FileFields):
    """What can be said of one of many files."""

    idempotency_key: Annotated[str, Field(pattern=KEY)] | None = Field(None, description="As the header of one upload.")


class BatchIn(RootModel[list[BatchFields]]):
    """One object for each file, in the order of the form."""


class CopyOf(CopyIn):
    """One of many copies."""

    file_id: Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER] = Field(description="The file that is copied.")
    idempotency_key: Annotated[str, Field(pattern=KEY)] | None = Field(None, description="As the header of one copy.")


class CopiesIn(BaseModel):
    """Copies, made in this order."""

    model_config = ConfigDict(extra="forbid")

    copies: list[CopyOf] = Field(min_length=1, max_length=MAX_FILES)


class StoredOut(BaseModel):
    """What became of one of many files: it was stored, or there is a problem."""

    file: FileOut | None = None
    problem: ProblemOut | None = None


class BatchOut(BaseModel):
    """What became of each file, in the order of the form."""

    files: list[StoredOut]


@batch.post(
    "/batch",
    summary="Add many files at once",
    description=f"Up to {MAX_FILES} parts named file, and perhaps one named json: an array with one object a file,"
    " in their order, with name, comment and idempotency_key, each of which may be missing. All files are stored in one"
    " transaction, but for those whose key forbids it: such a one has its problem in the answer.",
    openapi_extensions={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}
    },
    responses={200: BatchOut, **problem_responses(400, 409, 413, 415, 422, 507)},
)
def add_files() -> dict[str, object]:
    service, settings, staging = svcs.flask.get(FileService, Settings, Staging)
    service.check_room(request.content_length or 0)
    with receive_files(request, staging, settings.upload, MAX_FILES) as (parts, told):
        stored = service.store_all(_uploads(parts, told))
    return {"files": [_answer(one) for one in stored]}


@batch.post(
    "/copies",
    summary="Make many new files with the bytes of others",
    description=f"Up to {MAX_FILES}, in one transaction. In the answer a copy that cannot be made has its problem.",
    responses={200: BatchOut, **problem_responses(400, 404, 409, 413, 415, 422)},
    openapi_extensions=described(CopiesIn),
)
def copy_files() -> dict[str, object]:
    wanted = json_body(CopiesIn).copies
    _check_keys([one.idempotency_key for one in wanted])
    service = svcs.flask.get(FileService)
    sources = {file.id: file for file in service.existing([one.file_id for one in wanted])}
    copies = [
        Copy(sources[one.file_id], name_of_copy(sources[one.file_id], one), one.idempotency_key)
        for one in wanted
        if one.file_id in sources
    ]
    copied = iter(service.copy_all(copies))
    return {"files": [_answer(next(copied) if one.file_id in sources else not_found(one.file_id)) for one in wanted]}


def _uploads(parts: Sequence[tuple[StagedBlob, str]], told: object) -> Sequence[Upload]:
    fields = validated(BatchIn, [{}] * len(parts) if told is None else told).root
    if len(fields) != len(parts):
        detail = f"The JSON part tells of {len(fields)} files, and {len(parts)} came; it takes one object for each."
        raise Problem("invalid-fields", 422, detail)
    _check_keys([one.idempotency_key for one in fields])
    return [
        Upload(staged, file_name(client_name, said.name), said.comment or "", said.idempotency_key)
        for (staged, client_name), said in zip(parts, fields, strict=True)
    ]


def _check_keys(keys: Sequence[str | None]) -> None:
    given = [key for key in keys if key is not None]
    if len(set(given)) != len(given):
        raise Problem("invalid-fields", 422, "Two files of the request have the same idempotency_key.")


def _answer(stored: File | Problem) -> dict[str, object]:
    if isinstance(stored, Problem):
        return {"problem": stored.document()}
    return {"file": as_json(stored)}
