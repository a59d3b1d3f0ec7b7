"""How an answer shows a file."""

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.http import http_date

from file_storage.models import File


class FileOut(BaseModel):
    """A file."""

    model_config = ConfigDict(title="File")

    id: int
    name: str = Field(description="Without the extension.")
    extension: str = Field(description="With its dot, in lower case; empty where there is none.")
    comment: str
    size: int = Field(description="In bytes.")
    sha256: str = Field(description="SHA-256 of the bytes, in hexadecimal.")
    media_type: str = Field(description="What the bytes are (RFC 6838), whatever the client called them.")
    width: int | None = Field(None, description="Of an image, in pixels as it is shown.")
    height: int | None = Field(None, description="Of an image, in pixels as it is shown.")
    created_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    updated_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")


def as_json(file: File) -> dict[str, object]:
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
    return Response(FileOut.model_validate(as_json(file)).model_dump_json(), status, mimetype="application/json")


def created(file: File) -> Response:
    """201, and where the new file is."""
    response = file_response(file, 201)
    response.headers["Location"] = f"{request.script_root}/{file.id}"
    return response
