"""Types of JSON values that pydantic has no exact name for."""

from pydantic import BeforeValidator


def _number_only(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("should be an integer")
    return value


WHOLE_NUMBER = BeforeValidator(_number_only)
"""Annotates an ``int``: a JSON number without fraction (``3`` or ``3.0``, as JSON Schema has it), no string or boolean.

It stands behind the bounds, or they would be missing in the JSON Schema.
"""
