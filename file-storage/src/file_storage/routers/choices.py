"""Which files a request's JSON body chooses: by their ids, or by the filters of a list."""

from collections.abc import Mapping
from typing import Annotated, Self, cast

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from service_kit.database import MAX_ID
from service_kit.errors import RuleError
from service_kit.json_types import OPTIONAL, WHOLE_NUMBER
from service_kit.texts import sentence

from file_storage.routers.collection import FileQuery
from file_storage.services.folders import wanted_folder
from file_storage.services.trash import MAX_FILES

_OF_A_LIST = {"limit", "after", "sort"}
"""List parameters that do not filter files."""

_TYPES: dict[object, type | tuple[type, ...]] = {"string": str, "integer": (int, float)}
"""Python's types of JSON values; an integer may have the fraction 0."""
_NOT_EMPTY = {"string": {"minLength": 1}, "array": {"minItems": 1}}

JsonId = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]


class Matching(FileQuery):
    """The filters of a list of files: at least one filter, and no empty filter."""

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        if paging := data.keys() & _OF_A_LIST:
            names = ", ".join(sorted(paging))
            raise RuleError("filters_only", sentence("only filters may select the files; remove {names}", names=names))
        # An empty extension selects the files without one.
        conditions = [value for name, value in data.items() if name != "extension" or value in (None, [])]
        if not data or any(value in (None, "", [], [""]) for value in conditions):
            raise RuleError("empty_filter", sentence("an empty filter would select every file; add a condition"))
        fields = cast("dict[str, dict[str, object]]", FileQuery.model_json_schema()["properties"])
        return {name: _checked_value(name, value, fields.get(name, {})) for name, value in data.items()}

    @model_validator(mode="after")
    def _check_folder(self) -> Self:
        if self.folder and not wanted_folder(self.folder):
            # For example "/", which would match every file.
            raise RuleError("empty_filter", sentence("an empty filter would select every file; add a condition"))
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler.resolve_ref_schema(handler(schema))
        fields = {
            name: _one_or_several(field | _NOT_EMPTY.get(field.get("type", ""), {}))
            for name, field in described["properties"].items()
            if name not in _OF_A_LIST
        }
        return described | {"properties": fields, "minProperties": 1}


def _checked_value(name: str, value: object, field: Mapping[str, object]) -> object:
    """Return the value of a filter for the model of a query, in which every value is text; in JSON, types count.

    A filter with several possible values may also be a single value.

    :raises RuleError: the value does not have the type of the schema.
    """
    is_list = field.get("type") == "array"
    kind = cast("Mapping[str, object]", field["items"]).get("type") if is_list else field.get("type")
    values = value if is_list and isinstance(value, list) else [value]
    if kind in _TYPES and any(isinstance(each, bool) or not isinstance(each, _TYPES[kind]) for each in values):
        raise RuleError("wrong_type", sentence("{name} should be of the type {kind}", name=name, kind=str(kind)))
    return values if is_list else value


def _one_or_several(field: dict[str, object]) -> dict[str, object]:
    """Return the schema of a filter; if it is a list, a single value is allowed as well."""
    if field.get("type") != "array":
        return field
    several = {name: value for name, value in field.items() if name != "description"}
    return {"anyOf": [field["items"], several], "description": field.get("description", "")}


class _Inline:
    """Inlines a model's schema where it is used, because OpenAPI has no ``$defs``."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler.resolve_ref_schema(handler(schema)).copy()


class ChosenIn(BaseModel):
    """Files: by their ids, or by the filters of a list."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["ids"]}, {"required": ["filter"]}]}
    )

    ids: Annotated[list[JsonId] | None, OPTIONAL] = Field(None, min_length=1, max_length=MAX_FILES)
    filter: Annotated[Matching | None, OPTIONAL, _Inline()] = None

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: object) -> object:
        given = [data[name] for name in ("ids", "filter") if name in data] if isinstance(data, dict) else [data]
        if len(given) != 1 or given[0] is None:
            raise RuleError("ids_or_filter", sentence("send either ids or filter"))
        return data
