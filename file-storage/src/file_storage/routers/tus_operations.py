"""Documents resumable uploads in OpenAPI by hand, because tus defines them and their routes have no models."""

from collections.abc import Mapping

from flask_openapi3.models import PathItem
from service_kit.api import PROBLEM_CONTENT

from file_storage.routers.tus import BYTES, FILE_ID, VERSION

_WHOLE = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}


def _parameter(name: str, schema: Mapping[str, object], description: str, *, required: bool = False) -> object:
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


_VERSION = _parameter("Tus-Resumable", {"type": "string", "enum": [VERSION]}, "The version of tus.", required=True)
_LENGTH = _parameter("Upload-Length", _WHOLE, "The length of the whole file in bytes.")
_CHECKSUM = _parameter(
    "Upload-Checksum", _TEXT, "`sha1`, `md5` or `sha256`, a space, and the digest of the body in base64."
)
_CREATION = [
    _LENGTH,
    _parameter(
        "Upload-Defer-Length",
        {"type": "string", "enum": ["1"]},
        "Instead of `Upload-Length`: the length is sent later.",
    ),
    _parameter(
        "Upload-Metadata",
        _TEXT,
        "`filename` and `comment`, each followed by a space and its value in base64, separated by a comma.",
    ),
    _parameter("Upload-Concat", _TEXT, "`partial`, or `final;` and the URLs of the parts, separated by spaces."),
    _CHECKSUM,
]
_UPLOAD_ID = {"name": "upload_id", "in": "path", "required": True, "schema": _TEXT, "description": "From `Location`."}
_OFFSET = {"schema": _WHOLE, "description": "The number of bytes that the server has."}
_STATE = {
    "Upload-Expires": {"schema": _TEXT, "description": "When the upload expires, as an HTTP date."},
    FILE_ID: {"schema": _WHOLE, "description": "The id of the file made from the finished upload."},
}
_PROBLEMS = {
    "400": "A header is wrong, or a part is not finished.",
    "401": "A key is needed.",
    "403": "The key lacks a scope, or the upload accepts no bytes.",
    "404": "There is no such upload.",
    "409": "`Upload-Offset` is not the number of bytes that the server has; HEAD returns it.",
    "410": "The upload has expired.",
    "412": "This version of tus is not supported.",
    "413": "The file would be too large.",
    "415": "The body has another type.",
    "422": "A field is invalid.",
    "423": "Another request writes to the upload.",
    "429": "The owner has too many unfinished uploads.",
    "460": "The body does not match the checksum.",
    "507": "There is no room for the file.",
}


def _operation(
    summary: str, parameters: list[object], answer: tuple[str, object], problems: tuple[str, ...], **further: object
) -> object:
    status, described = answer
    refused = {
        code: {"description": _PROBLEMS[code], "content": PROBLEM_CONTENT} for code in sorted({*problems, "401", "403"})
    }
    responses = {status: described, **refused}
    return {"tags": ["uploads"], "summary": summary, "parameters": parameters, "responses": responses, **further}


_BODY = {"content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}
_SUPPORTED = {
    "description": "The server's versions, extensions and limits.",
    "headers": {
        "Tus-Version": {"schema": _TEXT},
        "Tus-Extension": {"schema": _TEXT},
        "Tus-Max-Size": {"schema": _WHOLE},
        "Tus-Checksum-Algorithm": {"schema": _TEXT},
    },
}

OPERATIONS: Mapping[str, PathItem] = {
    "/uploads/": PathItem.model_validate(
        {
            "options": {
                "tags": ["uploads"],
                "summary": "Get the version, extensions and limits of tus",
                "responses": {"204": _SUPPORTED},
            },
            "post": _operation(
                "Begin a resumable upload (tus 1.0.0)",
                [_VERSION, *_CREATION],
                (
                    "201",
                    {
                        "description": "The upload, at `Location`.",
                        "headers": {"Location": {"schema": _TEXT}, "Upload-Offset": _OFFSET, **_STATE},
                    },
                ),
                ("400", "404", "412", "413", "415", "422", "429", "460", "507"),
                description="The body may contain the first bytes of the file.",
                requestBody=_BODY,
            ),
        }
    ),
    "/uploads/{upload_id}": PathItem.model_validate(
        {
            "head": _operation(
                "Get how many bytes of an upload the server has",
                [_UPLOAD_ID, _VERSION],
                (
                    "200",
                    {
                        "description": "The state of the upload.",
                        "headers": {
                            "Upload-Offset": _OFFSET,
                            "Upload-Length": {"schema": _WHOLE},
                            "Upload-Defer-Length": {"schema": _TEXT},
                            "Upload-Metadata": {"schema": _TEXT},
                            "Upload-Concat": {"schema": _TEXT},
                            **_STATE,
                        },
                    },
                ),
                ("404", "410", "412"),
            ),
            "patch": _operation(
                "Send the next bytes of an upload",
                [
                    _UPLOAD_ID,
                    _VERSION,
                    _parameter("Upload-Offset", _WHOLE, "The number of bytes that the server has.", required=True),
                    _LENGTH,
                    _CHECKSUM,
                ],
                ("204", {"description": "The bytes are stored.", "headers": {"Upload-Offset": _OFFSET, **_STATE}}),
                ("400", "404", "409", "410", "412", "413", "415", "422", "423", "460", "507"),
                requestBody=_BODY | {"required": True},
            ),
            "delete": _operation(
                "Cancel an upload",
                [_UPLOAD_ID, _VERSION],
                ("204", {"description": "The upload is deleted."}),
                ("404", "410", "412", "423"),
            ),
        }
    ),
}
