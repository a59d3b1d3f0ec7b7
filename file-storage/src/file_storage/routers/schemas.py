"""Files as requests describe them and as responses show them."""

from typing import Annotated

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field
from service_kit.json_types import NO_NUL
from werkzeug.http import http_date

from file_storage.models import File
from file_storage.services.names import MAX_LENGTH, FileName, copied

MAX_COMMENT = 10_000
MAX_QUERY_COMMENT = 500
"""Characters of a comment in a query: a URL has no room for :data:`MAX_COMMENT`."""

VISIBLE = r"[^\s.\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""For the schema only: the server itself refuses a name without a visible character with a clearer message."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH, json_schema_extra={"pattern": VISIBLE})]
Comment = Annotated[str, Field(max_length=MAX_COMMENT, pattern=NO_NUL)]
ShortComment = Annotated[str, Field(max_length=MAX_QUERY_COMMENT, pattern=NO_NUL)]


class FilePath(BaseModel):
    id: int = Field(description="The file's id.")


class FileFields(BaseModel):
    """The name and comment of a file; a missing field does not change."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="1 to 255 characters, with or without the file's extension.")
    comment: Comment | None = Field(None, description="At most 10,000 characters.")


class CopyIn(BaseModel):
    """The name of a copy; by default that of its source."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="1 to 255 characters, with or without the extension.")
    extension: str | None = Field(
        None, pattern=r"^(\.[^/\\\x00]{1,254})?$", description="With its dot, or empty for none."
    )


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
    width: int | None = Field(None, description="Of an image as displayed, in pixels.")
    height: int | None = Field(None, description="Of an image as displayed, in pixels.")
    created_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    updated_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")


def as_json(file: File) -> dict[str, object]:
    """Return a file as :class:`FileOut` shows it."""
    return {
        "id": file.id,
        "name": file.name,
        "extension": file.extension,
        "comment": file.comment,
        "size": file.size,
        "sha256": file.sha256,
        "media_type": file.media_type,
        "width": file.width,
        "height": file.height,
        "created_at": http_date(file.created_at),
        "updated_at": http_date(file.updated_at),
    }


def file_response(file: File, status: int) -> Response:
    """Return a response with the file's data."""
    return Response(FileOut.model_validate(as_json(file)).model_dump_json(), status, mimetype="application/json")


def created(file: File) -> Response:
    """Return a 201 with the new file and its URL."""
    response = file_response(file, 201)
    response.headers["Location"] = f"{request.script_root}/{file.id}"
    return response


def name_of_copy(source: File, wanted: CopyIn) -> FileName:
    """Return the name of a copy.

    :raises DomainError: ``invalid-fields``, the name cannot be stored.
    """
    return copied(FileName(source.name, source.extension), wanted.name, wanted.extension)
