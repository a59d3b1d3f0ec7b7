"""Documents the thumbnails of a link in OpenAPI: the render service serves them, at an address below the link's."""

from collections.abc import Mapping

from flask_openapi3.models import PathItem
from service_kit.api import PROBLEM_CONTENT

_PROBLEMS = {
    "401": "The link needs its password, or the password is wrong.",
    "404": "The link is not valid, the file is not in its set, or thumbnails have other sizes.",
    "413": "The file is too large.",
    "416": "The range begins after the end.",
    "421": "The server does not serve this host.",
    "422": "The file is not an image.",
    "429": "There were too many wrong passwords.",
    "503": "No process was free in time, or a dependency is unavailable.",
}
_WEBP = {"image/webp": {"schema": {"type": "string", "format": "binary"}}}

THUMBNAILS: Mapping[str, PathItem] = {
    "/shared/{token}/{file_id}/thumbnails/{size}": PathItem.model_validate(
        {
            "get": {
                "tags": ["files"],
                "summary": "Get a small WebP of a file of a link",
                "description": "It needs the same password as the link, or the cookie of `unlock`.",
                "parameters": [
                    {
                        "name": "token",
                        "in": "path",
                        "required": True,
                        "description": "The token of a link for a set of files.",
                        "schema": {"type": "string"},
                    },
                    {
                        "name": "file_id",
                        "in": "path",
                        "required": True,
                        "description": "The id of a file of the set.",
                        "schema": {"type": "integer", "minimum": 1},
                    },
                    {
                        "name": "size",
                        "in": "path",
                        "required": True,
                        "description": "The maximum length of the longer side, in pixels.",
                        "schema": {"type": "integer", "enum": [128, 256, 512, 1024]},
                    },
                ],
                "responses": {
                    "200": {"description": "The thumbnail.", "content": _WEBP},
                    "206": {"description": "A range of the thumbnail.", "content": _WEBP},
                    "304": {"description": "It has not changed."},
                    **{status: {"description": text, "content": PROBLEM_CONTENT} for status, text in _PROBLEMS.items()},
                },
            }
        }
    )
}
