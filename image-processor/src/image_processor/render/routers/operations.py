"""Documents the render service's endpoints in OpenAPI; a process other than the API's serves them."""

from collections.abc import Mapping

from flask_openapi3.models import PathItem
from service_kit.api import PROBLEM_CONTENT
from service_kit.database import MAX_ID
from service_kit.openapi import schema_of

from image_processor.render.routers.api import FULL_SIZE_HEADER, THUMBNAIL_SIZES, PreviewIn
from image_processor.render.routers.metadata import PARTS, MetadataOut
from image_processor.render.urls.signed_urls import UrlRequest, UrlsOut

_WEBP = {"image/webp": {"schema": {"type": "string", "format": "binary"}}}
_FILE_ID = {
    "name": "file_id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
}
_SHA256 = {
    "name": "sha256",
    "in": "path",
    "required": True,
    "description": "SHA-256 of the file's bytes.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
_SIZE = {
    "name": "size",
    "in": "path",
    "required": True,
    "description": "The maximum length of the longer side, in pixels.",
    "schema": {"type": "integer", "enum": list(THUMBNAIL_SIZES)},
}
_PROBLEMS = {
    "400": "The body is not JSON.",
    "401": "A key is required.",
    "403": "The key lacks a scope.",
    "404": "There is no such file.",
    "409": "The server has no key to sign URLs with.",
    "413": "The source or the body is too large.",
    "415": "The body's media type is not supported.",
    "416": "The range begins after the end.",
    "421": "The server does not serve this host.",
    "422": "The file is not an image, or a field is invalid.",
    "429": "Too many requests.",
    "503": "No process was free in time, or a dependency is unavailable.",
}


def _problems(*statuses: str) -> dict[str, object]:
    every = ("401", "403", "404", "421", "422", "429", "503")
    return {
        status: {"description": _PROBLEMS[status], "content": PROBLEM_CONTENT} for status in sorted({*every, *statuses})
    }


def _thumbnail(summary: str, parameter: Mapping[str, object]) -> PathItem:
    responses = {
        "200": {"description": "The thumbnail.", "content": _WEBP},
        "206": {"description": "A range of the thumbnail.", "content": _WEBP},
        "304": {"description": "It has not changed."},
        **_problems("413", "416"),
    }
    operation = {"tags": ["renders"], "summary": summary, "parameters": [parameter, _SIZE], "responses": responses}
    return PathItem.model_validate({"get": operation})


def _metadata(summary: str, parameter: Mapping[str, object]) -> PathItem:
    wanted = {
        "name": "parts",
        "in": "query",
        "description": "The parts to return, separated by commas. `info` and `exif` alone need no decoded pixels.",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": {"type": "string", "enum": list(PARTS)}, "minItems": 1},
    }
    content = {"application/json": {"schema": schema_of(MetadataOut)}}
    responses = {
        "200": {"description": "The metadata.", "content": content},
        "304": {"description": "It has not changed."},
        **_problems("413"),
    }
    operation = {"tags": ["renders"], "summary": summary, "parameters": [parameter, wanted], "responses": responses}
    return PathItem.model_validate({"get": operation})


def _body(schema: Mapping[str, object]) -> dict[str, object]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _preview_schema() -> dict[str, object]:
    schema = PreviewIn.model_json_schema()
    reference = "#/components/schemas/"
    schema["properties"]["steps"]["anyOf"][0]["items"] = {"$ref": f"{reference}Step"}
    schema["properties"]["output"] = {"anyOf": [{"$ref": f"{reference}Output"}, {"type": "null"}]}
    schema["properties"]["source"] = {"anyOf": [{"$ref": f"{reference}Source"}, {"type": "null"}]}
    return schema


_ANY_IMAGE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_JSON = {"application/json": {"schema": {"type": "object"}}}
_FULL_SIZE = {
    "description": "Width and height of the image before it was shrunk to `max_side`, such as `3000x2000`; missing for "
    "an analysis.",
    "schema": {"type": "string", "pattern": "^[0-9]+x[0-9]+$"},
}

OPERATIONS: Mapping[str, PathItem] = {
    "/thumbnails/{file_id}/{size}": _thumbnail("Get a small WebP of a file", _FILE_ID),
    "/thumbnails/sha256/{sha256}/{size}": _thumbnail("Get a small WebP of a file by its SHA-256", _SHA256),
    "/metadata/{file_id}": _metadata("Get the metadata of an image", _FILE_ID),
    "/metadata/sha256/{sha256}": _metadata("Get the metadata of an image by its SHA-256", _SHA256),
    "/preview": PathItem.model_validate(
        {
            "post": {
                "tags": ["renders"],
                "summary": "Preview steps on a file",
                "description": "Runs the steps, or the steps of a `preset`, as a task would, and shrinks the result "
                "to `max_side`. Nothing is stored; closing the connection cancels the preview.",
                "requestBody": _body(_preview_schema()),
                "responses": {
                    "200": {
                        "description": "The result: an image, or JSON.",
                        "headers": {FULL_SIZE_HEADER: _FULL_SIZE},
                        "content": {**_ANY_IMAGE, **_JSON},
                    },
                    **_problems("400", "413", "415"),
                },
            }
        }
    ),
    "/render-urls": PathItem.model_validate(
        {
            "post": {
                "tags": ["renders"],
                "summary": "Create signed URLs of an image",
                "description": "`url`, a `srcset` for `widths` or `dprs`, `sources` of a `<picture>` for `formats`.",
                "requestBody": _body(UrlRequest.model_json_schema()),
                "responses": {
                    "201": {
                        "description": "The URLs.",
                        "content": {"application/json": {"schema": schema_of(UrlsOut)}},
                    },
                    **_problems("400", "409", "413", "415"),
                },
            }
        }
    ),
    "/renders/{file_id}": PathItem.model_validate(
        {
            "delete": {
                "tags": ["renders"],
                "summary": "Remove all rendered images of a file",
                "parameters": [_FILE_ID],
                "responses": {"204": {"description": "The rendered images were removed."}, **_problems()},
            }
        }
    ),
}
