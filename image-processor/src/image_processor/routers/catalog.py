"""The endpoint that lists the algorithms."""

import json
from functools import cache
from typing import Literal

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit.access.flask_gate import needs
from service_kit.access.principals import Scope
from service_kit.api import array_response, preferred_language
from service_kit.kept_answers import KeptAnswer
from service_kit.languages import Language

from image_processor.services.catalog import catalog as algorithms_in
from image_processor.services.catalog import compact_catalog

catalog = APIBlueprint("catalog", __name__, abp_tags=[Tag(name="catalog")])


class AlgorithmOut(BaseModel):
    """An algorithm and the JSON Schema of its params."""

    name: str
    title: str = Field(description="The display name.")
    summary: str
    category: str = Field(description="The group in which a form shows it, such as `geometry`.")
    category_title: str = Field(description="The display name of the group.")
    result: Literal["image", "json", "zip"] = Field(description="The kind of the result file.")
    frames: Literal["each", "all", "first"] = Field(
        description="Which frames of an animation are processed: `each` separately, `all` together, or only the "
        "`first`."
    )
    streams: bool = Field(description="Whether a large image is processed without loading all of it into memory.")
    example: dict[str, object] = Field(description="Params for a demonstration.")
    params: dict[str, object] = Field(
        description="The JSON Schema of the params; its `x-pixmill` has hints for a form."
    )


class CatalogOut(BaseModel):
    """All algorithms in one document, whose schemas share their definitions."""

    algorithms: list[AlgorithmOut]
    definitions: dict[str, object] = Field(alias="$defs", description="The JSON Schemas that `params` refer to.")


@catalog.get(
    "/algorithms",
    summary="List the algorithms and their params",
    description="Each schema is complete. `Accept-Language: ru` gives titles and descriptions in Russian.",
    responses={200: array_response(AlgorithmOut.model_json_schema()), 304: None},
)
@needs(Scope.TASKS_READ)
def list_algorithms() -> Response:
    return _algorithms(preferred_language()).response()


@catalog.get(
    "/catalog",
    summary="Get all algorithms in one document",
    description="Like `/algorithms`, but parts that several schemas share are only in `$defs`.",
    responses={200: CatalogOut, 304: None},
)
@needs(Scope.TASKS_READ)
def get_catalog() -> Response:
    return _catalog(preferred_language()).response()


@cache
def _algorithms(language: Language) -> KeptAnswer:
    return KeptAnswer(json.dumps(algorithms_in(language), ensure_ascii=False).encode())


@cache
def _catalog(language: Language) -> KeptAnswer:
    return KeptAnswer(json.dumps(compact_catalog(language), ensure_ascii=False).encode())
