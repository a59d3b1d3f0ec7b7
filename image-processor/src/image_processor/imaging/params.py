"""The base of parameters, and the types that many of them have."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_SIDE = 16_384
"""Pixels: what WebP (16,383) and AVIF can hold, and as much as a client may ask for."""


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _whole(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return value


class Params(BaseModel):
    """Base of every algorithm's parameters.

    An unknown parameter is an error, and so is a number in quotes, a boolean for a number, NaN or infinity. ``3.0`` is
    a whole number, as JSON Schema has it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, data: object) -> object:
        return _whole(data)

    def with_one_of(self, *names: str) -> Self:
        """:raises ValueError: none of these parameters is given, so that nothing would be done."""
        if any(name in self.model_fields_set and getattr(self, name) is not None for name in names):
            return self
        raise ValueError(f"nothing to do: give {', '.join(names[:-1])} or {names[-1]}")

    def file_ids(self) -> Sequence[int]:
        """The files, beside the source, that these parameters name; the function gets them as ``files``."""
        return ()


def needs_one_of(*names: str) -> ConfigDict:
    """Return what says in the JSON Schema that one of these parameters must be given."""
    return ConfigDict(json_schema_extra={"anyOf": [{"required": [name]} for name in names]})


class NoParams(Params):
    """Nothing to choose."""


Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
"""Pixels along a side of a result."""

FileId = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""The id of a stored file."""

Percent = Annotated[float, Field(ge=-100, le=100)]

Share = Annotated[float, Field(ge=0, le=1)]
"""0 is nothing, 1 is all."""
