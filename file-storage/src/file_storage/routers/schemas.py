"""The schemas of files in requests and responses, and of the filters by which requests choose files."""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from flask import Response, request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict
from service_kit.database import MAX_ID
from service_kit.errors import RuleError, domain_errors_as_rules
from service_kit.json_types import NO_NUL, OPTIONAL, TIME, WHOLE_NUMBER
from service_kit.openapi import schema_of
from service_kit.query import Query
from service_kit.texts import sentence

from file_storage.models import File
from file_storage.routers.rows import as_json
from file_storage.services.folders import MAX_FOLDER, wanted_folder
from file_storage.services.idempotency import KeyUse
from file_storage.services.listing import FileFilter, Sort
from file_storage.services.names import FileName, copied
from file_storage.services.storing import Details

_T = TypeVar("_T")
_Optional = Annotated[_T | None, OPTIONAL]

MAX_COMMENT = 10_000
MAX_QUERY_COMMENT = 500
"""Maximum length of a comment in a query, in characters: a URL has no room for :data:`MAX_COMMENT`."""

_HIDDEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
VISIBLE = rf"[^\s.{_HIDDEN}]"
"""Only for the schema: the server itself refuses a name without a visible character with a clearer message."""

Name = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": VISIBLE})]
"""Has no maximum length: what of it is a folder or an extension depends on the request, and each has a limit of its own
(:mod:`~file_storage.services.names`, :mod:`~file_storage.services.folders`)."""
Comment = Annotated[str, Field(max_length=MAX_COMMENT, pattern=NO_NUL)]
ShortComment = Annotated[str, Field(max_length=MAX_QUERY_COMMENT, pattern=NO_NUL)]


_NO_DRIVE = rf"(?![/\s{_HIDDEN}]*[A-Za-z][{_HIDDEN}]*:)"
_FOLDER_PART = rf"([\s{_HIDDEN}]*|[^/\\]*[^/\\.\s{_HIDDEN}][^/\\]*)"
FOLDER = rf"^{_NO_DRIVE}{_FOLDER_PART}(/{_FOLDER_PART})*$"
"""What :func:`~file_storage.services.folders.wanted_folder` accepts; only for the schema, as :data:`VISIBLE`."""

MAX_EXPIRES_IN = 10 * 365 * 86_400
"""Maximum seconds until a file expires: ten years."""


def _storable_folder(folder: str) -> str:
    with domain_errors_as_rules():
        wanted_folder(folder)
    return folder


Folder = Annotated[
    str, Field(json_schema_extra={"maxLength": MAX_FOLDER, "pattern": FOLDER}), AfterValidator(_storable_folder)
]
NAME_LIMIT = "1 to 255 characters without the extension."
_EXPIRES_IN = "Seconds after which the file is deleted, at most ten years."


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise RuleError("not_seconds", sentence("should be a number of seconds"))
    return value


ExpiresIn = Annotated[Annotated[int, Field(ge=1, le=MAX_EXPIRES_IN), BeforeValidator(_no_boolean)] | None, OPTIONAL]
"""A number or, in a form, text."""
_ExpiresInJson = Annotated[int, Field(ge=1, le=MAX_EXPIRES_IN), WHOLE_NUMBER]
_Id = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]


class FilePath(BaseModel):
    id: int = Field(description="The file's id.")


class FileFields(BaseModel):
    """The name, comment and folder of a file; a missing field does not change."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description=f"With or without the file's extension. {NAME_LIMIT}")
    comment: Comment | None = Field(None, description="At most 10,000 characters.")
    folder: Folder | None = Field(None, description="Such as holiday/2026; empty for none.")


class NewFileFields(FileFields):
    """The fields of a new file."""

    expires_in: ExpiresIn = Field(None, description=_EXPIRES_IN)


class Claims(BaseModel):
    """The task that made a file, its batch and its source."""

    source_id: _Id | None = None
    task_id: _Id | None = None
    batch_id: _Id | None = None


def hide_claims(schema: JsonDict) -> None:
    """Remove from a schema the fields that only our own processes may send."""
    properties = schema["properties"]
    if isinstance(properties, dict):
        for name in Claims.model_fields:
            properties.pop(name, None)


class CopyIn(BaseModel):
    """The properties of a copy. By default, its name and folder are those of its source."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description=f"With or without the extension. {NAME_LIMIT}")
    extension: str | None = Field(
        None, pattern=r"^(\.[^/\\\x00]{1,254})?$", description="With its dot, or empty for none."
    )
    folder: Folder | None = Field(None, description="Empty for none; by default that of the source.")
    expires_in: _ExpiresInJson | None = Field(None, description=_EXPIRES_IN)


class FileOut(BaseModel):
    """A file."""

    model_config = ConfigDict(title="File")

    id: int
    name: str = Field(description="Without the extension.")
    extension: str = Field(description="With its dot, in lower case; empty for none.")
    comment: str
    size: int = Field(description="In bytes.")
    sha256: str = Field(description="SHA-256 of the bytes, in hexadecimal.")
    media_type: str = Field(description="Media type (RFC 6838), detected from the bytes.")
    width: int | None = Field(None, description="The width of an image as displayed, in pixels.")
    height: int | None = Field(None, description="The height of an image as displayed, in pixels.")
    created_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    updated_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    origin: Literal["upload", "result"] = Field(description="Whether a client uploaded the file, or a task made it.")
    source_id: _Optional[int] = Field(None, description="The file from which a task made it.")
    task_id: _Optional[int] = Field(None, description="The task that made it.")
    batch_id: _Optional[int] = Field(None, description="The batch of this task.")
    folder: _Optional[str] = Field(None, description="Missing if the file is in no folder.")
    taken_at: _Optional[str] = Field(
        None, description="When the photo was taken, according to its EXIF, as an HTTP date."
    )
    expires_at: _Optional[str] = Field(None, description="When the file is deleted, as an HTTP date.")


MAX_VALUES = 20
"""Maximum number of values of a repeated filter."""
MAX_TASK_IDS = 10_000
"""The same for tasks, so that a filter can name all tasks of the largest batch."""

_Text = Annotated[Annotated[str, Field(max_length=255, pattern=NO_NUL)] | None, OPTIONAL]
_Time = Annotated[Annotated[datetime, TIME] | None, OPTIONAL]
_Size = Annotated[Annotated[int, Field(ge=0, le=MAX_ID)] | None, OPTIONAL]
_Texts = Annotated[
    list[Annotated[str, Field(max_length=255, pattern=NO_NUL)]] | None, Field(max_length=MAX_VALUES), OPTIONAL
]
_IdInQuery = Annotated[Annotated[int, Field(ge=1, le=MAX_ID)] | None, OPTIONAL]


class FilterQuery(Query):
    """Which files, and in which order."""

    sort: Sort = Field(
        "id",
        description="The field to sort by; with a minus sign, in descending order. For files without taken_at, sorting"
        " by taken_at uses created_at.",
    )
    name: _Text = Field(None, description="Only files whose name contains this, regardless of case.")
    q: _Text = Field(None, description="Only files whose name or comment contains this, regardless of case.")
    extension: _Texts = Field(None, description="Only files with this extension; if repeated, with any of them.")
    media_type: _Texts = Field(
        None, description="Only files of this media type; image/* matches all images. If repeated, of any of them."
    )
    origin: Annotated[list[Literal["upload", "result"]] | None, Field(max_length=MAX_VALUES), OPTIONAL] = Field(
        None, description="Only files that clients uploaded, or only those that tasks made."
    )
    source_id: _IdInQuery = Field(None, description="Only files that tasks made from this file.")
    task_id: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_ID)]] | None, Field(max_length=MAX_TASK_IDS), OPTIONAL
    ] = Field(None, description="Only files that this task made; if repeated, any of these tasks.")
    batch_id: _IdInQuery = Field(None, description="Only files that the tasks of this batch made.")
    folder: Annotated[Folder | None, OPTIONAL] = Field(
        None, description="Only files in this folder and those below it."
    )
    taken_after: _Time = Field(None, description="Only files that a camera took after this time (RFC 3339).")
    taken_before: _Time = Field(None, description="Only files that a camera took before this time (RFC 3339).")
    created_after: _Time = Field(None, description="Only files created after this time (RFC 3339).")
    created_before: _Time = Field(None, description="Only files created before this time (RFC 3339).")
    size_min: _Size = Field(None, description="Only files of at least this many bytes.")
    size_max: _Size = Field(None, description="Only files of at most this many bytes.")

    def filter(self) -> FileFilter:
        return FileFilter(
            name=self.name,
            q=self.q,
            extension=self.extension or (),
            media_type=self.media_type or (),
            origin=self.origin or (),
            source_id=self.source_id,
            task_id=self.task_id or (),
            batch_id=self.batch_id,
            folder=None if self.folder is None else wanted_folder(self.folder),
            taken_after=_epoch(self.taken_after),
            taken_before=_epoch(self.taken_before),
            created_after=_epoch(self.created_after),
            created_before=_epoch(self.created_before),
            size_min=self.size_min,
            size_max=self.size_max,
            sort=self.sort,
        )


def _epoch(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def json_part(model: type[BaseModel], description: str, **bounds: object) -> dict[str, object]:
    """Return the schema of a part of a form that is a JSON document.

    An array would be one part for each of its items (OpenAPI 3.1, Encoding Object).

    :param bounds: further keywords of the document's schema.
    """
    content = {**schema_of(model), **bounds}
    return {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": content,
        "description": description,
    }


def file_response(file: File, status: int) -> Response:
    """Return a response with the file's data."""
    body = FileOut.model_validate(as_json(file)).model_dump_json(exclude_unset=True)
    return Response(body, status, mimetype="application/json")


def created(file: File) -> Response:
    """Return a 201 with the new file and its URL."""
    response = file_response(file, 201)
    response.headers["Location"] = f"{request.script_root}/{file.id}"
    return response


def details_of(fields: NewFileFields, folder: str = "") -> Details:
    """Return the optional properties of a new file.

    :param folder: the folder in the file's name, used if the fields have no folder.
    :raises DomainError: ``invalid-fields`` if the folder cannot be stored.
    """
    return Details(folder if fields.folder is None else wanted_folder(fields.folder), fields.expires_in)


def details_of_copy(wanted: CopyIn) -> Details:
    """Return the optional properties of a copy.

    :raises DomainError: ``invalid-fields`` if the folder cannot be stored.
    """
    return Details(None if wanted.folder is None else wanted_folder(wanted.folder), wanted.expires_in)


def use_of_copy(key: str | None, file_id: int, wanted: CopyIn) -> KeyUse | None:
    """Return how a request for a copy uses its idempotency key, if it has one.

    :param file_id: the source's id. Its name and bytes do not count: it may be renamed or deleted before a retry.
    """
    if key is None:
        return None
    sent = wanted.model_dump(exclude={"idempotency_key", "file_id"}, exclude_none=True)
    return KeyUse(key, hashlib.sha256(json.dumps([file_id, sent], sort_keys=True).encode()).hexdigest())


def name_of_copy(source: File | None, wanted: CopyIn) -> FileName:
    """Return the name of a copy.

    :param source: ``None`` if there is no such file; then the name shows only whether the wanted one can be stored.
    :raises DomainError: ``invalid-fields`` if the name cannot be stored.
    """
    own = FileName("file", "") if source is None else FileName(source.name, source.extension)
    return copied(own, wanted.name, wanted.extension)
