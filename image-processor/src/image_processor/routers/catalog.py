"""The endpoint that lists the algorithms."""

import json
from functools import cache
from typing import Literal

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit.access.flask_gate import needs
from service_kit.access.principals import Scope
from service_kit.api import array_response

from image_processor.algorithms.registry import all_algorithms
from image_processor.routers.batch_schema import PIPELINE_SUMMARY
from image_processor.services.codec.plan import PIPELINE, Pipeline, task_params

catalog = APIBlueprint("catalogue", __name__, abp_tags=[Tag(name="catalogue")])


class AlgorithmOut(BaseModel):
    """An algorithm and the JSON Schema of its params."""

    name: str
    summary: str
    result: Literal["image", "json", "zip"] = Field(description="The kind of the result file.")
    frames: Literal["each", "all", "first"] = Field(
        description="For an animation: `each` frame is processed alone, `all` together, or only the `first`."
    )
    streams: bool = Field(description="Whether a large image is processed without loading all of it into memory.")
    params: dict[str, object]


@catalog.get(
    "/algorithms",
    summary="List the algorithms and their params",
    responses={200: array_response(AlgorithmOut.model_json_schema())},
)
@needs(Scope.TASKS_READ)
def list_algorithms() -> Response:
    return Response(_algorithms(), mimetype="application/json")


@cache
def _algorithms() -> str:
    found = [
        AlgorithmOut(
            name=algorithm.name,
            summary=algorithm.summary,
            result=algorithm.result,
            frames=algorithm.frames,
            streams=algorithm.sequential,
            params=task_params(algorithm).model_json_schema(),
        )
        for algorithm in all_algorithms().values()
    ]
    pipeline = AlgorithmOut(
        name=PIPELINE,
        summary=PIPELINE_SUMMARY,
        result="image",
        frames="each",
        streams=True,
        params=Pipeline.model_json_schema(),
    )
    return json.dumps([algorithm.model_dump() for algorithm in [*found, pipeline]], ensure_ascii=False)
