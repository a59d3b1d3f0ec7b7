"""The endpoints that tell what can be done to images."""

import json
from functools import cache
from typing import Literal

import svcs
from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit.api import array_response

from image_processor.algorithms.registry import all_algorithms
from image_processor.routers.batch_schema import PIPELINE_SUMMARY
from image_processor.services.codec.plan import PIPELINE, Pipeline, task_params
from image_processor.services.codec.presets import Presets

catalogue = APIBlueprint("catalogue", __name__, abp_tags=[Tag(name="catalogue")])


class AlgorithmOut(BaseModel):
    """An algorithm and the JSON Schema of its params."""

    name: str
    summary: str
    result: Literal["image", "json", "zip"] = Field(description="What kind of file comes out.")
    frames: Literal["each", "all", "first"] = Field(
        description="Of an animation: `each` frame is changed, `all` together, or only the `first` is used."
    )
    streams: bool = Field(description="Whether a large image is processed without being held in memory as a whole.")
    params: dict[str, object]


class PresetOut(BaseModel):
    """A named pipeline from the server's configuration."""

    name: str
    params: dict[str, object] = Field(description="The params of a `pipeline`.")


@catalogue.get(
    "/algorithms",
    summary="List the algorithms and their params",
    responses={200: array_response(AlgorithmOut.model_json_schema())},
)
def list_algorithms() -> Response:
    return Response(_algorithms(), mimetype="application/json")


@cache
def _algorithms() -> str:
    found = [
        AlgorithmOut(
            name=one.name,
            summary=one.summary,
            result=one.result,
            frames=one.frames,
            streams=one.sequential,
            params=task_params(one).model_json_schema(),
        )
        for one in all_algorithms().values()
    ]
    pipeline = AlgorithmOut(
        name=PIPELINE,
        summary=PIPELINE_SUMMARY,
        result="image",
        frames="each",
        streams=True,
        params=Pipeline.model_json_schema(),
    )
    return json.dumps([one.model_dump() for one in [*found, pipeline]], ensure_ascii=False)


@catalogue.get(
    "/presets",
    summary="List the presets",
    responses={200: array_response(PresetOut.model_json_schema())},
)
def list_presets() -> Response:
    presets = svcs.flask.get(Presets)
    found = [PresetOut(name=name, params=dict(params)).model_dump() for name, params in presets.items()]
    return Response(json.dumps(found, ensure_ascii=False), mimetype="application/json")
