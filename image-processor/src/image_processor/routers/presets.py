"""The endpoints of presets; presets of the settings are read-only."""

import json
from collections.abc import Collection
from typing import Annotated

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import InnerScope, Scope
from service_kit.api import array_response, problem_responses
from service_kit.request_body import json_body
from werkzeug.datastructures import ETags
from werkzeug.http import http_date

from image_processor.routers.batch_schema import pipeline_schema
from image_processor.services.presets.presets import MAX_NAME, Condition, NamedPreset, PresetService

presets = APIBlueprint("presets", __name__, abp_tags=[Tag(name="presets")])

NewName = Annotated[str, Field(max_length=MAX_NAME, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class PresetOut(BaseModel):
    """A pipeline with a name."""

    name: str
    params: dict[str, object] = Field(description="The params of a `pipeline`.")
    read_only: bool = Field(
        description="Whether the preset is defined in the server's settings, which the API cannot change."
    )
    updated_at: str | None = Field(None, description="As an HTTP date (RFC 9110, 5.6.7); absent if `read_only`.")


class PresetIn(BaseModel):
    """What a preset does."""

    model_config = ConfigDict(extra="forbid")

    params: dict[str, object] = Field(description="The params of a `pipeline`; at most 64 KiB of JSON.")


class PresetPath(BaseModel):
    name: str = Field(description="The preset's name.")


class NewPresetPath(BaseModel):
    name: NewName = Field(
        description="1 to 64 of the characters `A-Z a-z 0-9 _ . -`; the first must not be `.` or `-`."
    )


_BODY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["params"],
    "properties": {"params": pipeline_schema()},
}


@presets.get(
    "/presets",
    summary="List the presets: those in the settings, then your own",
    responses={200: array_response(PresetOut.model_json_schema()), **problem_responses(422)},
)
@needs(Scope.TASKS_READ)
def list_presets() -> Response:
    found = [_as_json(preset) for preset in svcs.flask.get(PresetService).all(principal())]
    return Response(json.dumps(found, ensure_ascii=False), mimetype="application/json")


@presets.get(
    "/presets/<string:name>",
    summary="Get a preset",
    responses={200: PresetOut, 304: None, **problem_responses(404)},
)
@needs(Scope.TASKS_READ, InnerScope.PRESETS_READ)
def get_preset(path: PresetPath) -> Response:
    response = _answer(svcs.flask.get(PresetService).get(principal(), path.name), 200)
    response.make_conditional(request)
    return response


@presets.put(
    "/presets/<string:name>",
    summary="Create or replace a preset",
    description="Existing tasks keep the steps that they were created with. `If-Match` with an ETag replaces only "
    "that version; `If-None-Match: *` only creates a new preset. If the condition fails, the response is 412.",
    responses={200: PresetOut, 201: PresetOut, **problem_responses(400, 403, 404, 409, 412, 413, 415, 422, 503)},
    openapi_extensions={"requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}},
)
@needs(Scope.PRESETS_WRITE)
def put_preset(path: NewPresetPath) -> Response:
    wanted = json_body(PresetIn)
    service = svcs.flask.get(PresetService)
    preset, is_new = service.put(principal(), path.name, wanted.params, _condition())
    response = _answer(preset, 201 if is_new else 200)
    if is_new:
        response.headers["Location"] = f"{request.script_root}/presets/{preset.name}"
    return response


@presets.delete(
    "/presets/<string:name>",
    summary="Delete a preset",
    description="`If-Match` with an ETag deletes only that version.",
    responses={204: None, **problem_responses(403, 404, 409, 412)},
)
@needs(Scope.PRESETS_WRITE)
def delete_preset(path: PresetPath) -> Response:
    svcs.flask.get(PresetService).delete(principal(), path.name, _condition())
    return Response(status=204)


def _condition() -> Condition:
    """Return the preconditions in the request's headers."""
    return Condition(
        matching=_tags(request.if_match, weak=False) if "If-Match" in request.headers else None,
        not_matching=_tags(request.if_none_match, weak=True) if "If-None-Match" in request.headers else None,
    )


def _tags(given: ETags, *, weak: bool) -> Collection[str]:
    return {"*"} if given.star_tag else given.as_set(include_weak=weak)


def _answer(preset: NamedPreset, status: int) -> Response:
    response = Response(json.dumps(_as_json(preset), ensure_ascii=False), status, mimetype="application/json")
    response.set_etag(preset.etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _as_json(preset: NamedPreset) -> dict[str, object]:
    document: dict[str, object] = {"name": preset.name, "params": preset.params, "read_only": preset.read_only}
    if preset.updated_at is not None:
        document["updated_at"] = http_date(preset.updated_at)
    return document
