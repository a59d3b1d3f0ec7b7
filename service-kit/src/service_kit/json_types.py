"""Types of JSON values that pydantic has no exact name for."""

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def _number_only(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("should be an integer")
    return value


WHOLE_NUMBER = BeforeValidator(_number_only)
"""Annotates an ``int``: a JSON number without fraction (``3`` or ``3.0``, as JSON Schema has it), no string or boolean.

It stands behind the bounds, or they would be missing in the JSON Schema.
"""


NO_NUL = r"^[^\x00]*$"
"""The pattern of any text: PostgreSQL has no place for the character U+0000."""


class _Optional:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        choices = [choice for choice in described.pop("anyOf", []) if choice != {"type": "null"}]
        return described | (choices[0] if choices else {})


OPTIONAL = _Optional()
"""Annotates an ``X | None`` that may be left out, but is never sent as null: so a query parameter is described."""
