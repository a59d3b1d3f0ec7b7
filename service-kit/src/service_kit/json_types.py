"""JSON types that pydantic lacks."""

import re
from datetime import datetime

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from service_kit.errors import RuleError
from service_kit.texts import sentence


def _number_only(value: object) -> object:
    if isinstance(value, bool | str):
        raise RuleError("not_an_integer", sentence("should be an integer"))
    return value


WHOLE_NUMBER = BeforeValidator(_number_only)
"""Annotates an ``int``: allows JSON numbers without fraction (``3`` or ``3.0``, as JSON Schema does), no others.

Put it after the bounds: before them, it would remove them from the JSON Schema.
"""


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""The grammar of RFC 3339, 5.6; pydantic checks the values."""


def _rfc_3339_only(value: object) -> object:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        raise RuleError("not_a_time", sentence("should be a date and time (RFC 3339), such as 2026-01-31T12:00:00Z"))
    return value


TIME = BeforeValidator(_rfc_3339_only)
"""Annotates a ``datetime``: allows only JSON Schema's ``date-time``, which has an offset; pydantic allows more."""


NO_NUL = r"^[^\x00]*$"
"""The pattern of storable text: PostgreSQL cannot store the character U+0000."""


class _Optional:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        choices = [choice for choice in described.pop("anyOf", []) if choice != {"type": "null"}]
        return described | (choices[0] if choices else {})


OPTIONAL = _Optional()
"""Annotates an ``X | None`` that may be omitted but not null, such as a query parameter; the schema omits null."""
