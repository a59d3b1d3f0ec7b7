"""The base of parameters, and the types that many of them have."""

from collections.abc import Mapping, Sequence
from typing import Annotated

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

    def file_ids(self) -> Sequence[int]:
        """The files, beside the source, that these parameters name; the function gets them as ``files``."""
        return ()


class NoParams(Params):
    """Nothing to choose."""


Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
"""Pixels along a side of a result."""

FileId = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""The id of a stored file."""

Percent = Annotated[float, Field(ge=-100, le=100)]

Share = Annotated[float, Field(ge=0, le=1)]
"""0 is nothing, 1 is all."""
