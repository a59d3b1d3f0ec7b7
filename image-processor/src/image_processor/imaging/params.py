"""The base class of parameters, and the types that many of them share."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self, TypedDict, Unpack

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from service_kit.errors import RuleError
from service_kit.texts import counted, sentence

MAX_SIDE = 16_384
"""The largest side in pixels that a client may request, about the limit of WebP (16,383) and AVIF (16,384)."""

_BRITISH = {"color": "colour", "center": "centre", "gray": "grey"}
"""The API's first spellings. They are still accepted; schemas and responses have the American ones."""
_AMERICAN = {british: american for american, british in _BRITISH.items()}


def or_british(name: str) -> AliasChoices:
    """Return the alias of a parameter that may also be sent under its British name."""
    return AliasChoices(name, re.sub("|".join(_BRITISH), lambda found: _BRITISH[found[0]], name))


def _american(value: object) -> object:
    if not isinstance(value, str):
        return value
    return re.sub("|".join(_AMERICAN), lambda found: _AMERICAN[found[0]], value)


OR_BRITISH = BeforeValidator(_american)
"""Annotates a ``Literal`` whose values may also be sent in their British spelling."""


_DEEPEST = 32
"""Maximum nesting of lists and objects. No algorithm needs ten, and clients can nest deeper than Python recurses."""


def _whole(value: object, levels: int = 0) -> object:
    """Return the value with integers in place of whole floats.

    :raises ValueError: the value is nested too deep.
    """
    if levels > _DEEPEST:
        raise RuleError(
            "too_deep",
            counted(
                "nested more than {limit} level deep", "nested more than {limit} levels deep", "limit", limit=_DEEPEST
            ),
        )
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _whole(part, levels + 1) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part, levels + 1) for part in value]
    return value


class Params(BaseModel):
    """The base class of every algorithm's parameters.

    An unknown parameter is an error, and so is a number in quotes, a boolean for a number, NaN or infinity. ``3.0`` is
    an integer, as in JSON Schema.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, data: object) -> object:
        return _whole(data)

    @model_validator(mode="before")
    @classmethod
    def _named_once(cls, data: object) -> object:
        if isinstance(data, Mapping):
            for field in cls.model_fields.values():
                aliases = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []
                given = [f"`{alias}`" for alias in aliases if alias in data]
                if len(given) > 1:
                    raise RuleError(
                        "same_parameter",
                        sentence("{names} are the same parameter: give only one of them", names=" and ".join(given)),
                    )
        return data

    def with_one_of(self, *names: str) -> Self:
        """Return these parameters if one of the names is given.

        :raises ValueError: none is given, so that the algorithm would do nothing.
        """
        if any(name in self.model_fields_set and getattr(self, name) is not None for name in names):
            return self
        detail = sentence("nothing to do: give {names} or {last}", names=", ".join(names[:-1]), last=names[-1])
        raise RuleError("nothing_to_do", detail)

    def file_ids(self) -> Sequence[int]:
        """Return the files that these parameters name, without the source; the function gets them as ``files``."""
        return ()


def needs_one_of(*names: str) -> ConfigDict:
    """Return the config that requires one of these parameters in the JSON Schema."""
    return ConfigDict(json_schema_extra={"anyOf": [{"required": [name]} for name in names]})


HINTS = "x-pixmill"
"""The member of a JSON Schema with hints for a form that shows a parameter."""

Widget = Literal["color", "corners", "curve", "file", "files", "gravity", "matrix", "point", "rectangles", "slider"]
Unit = Literal["px", "%", "°", "ms", "B", "dpi"]


class _FormHints(TypedDict, total=False):
    widget: Widget
    unit: Unit
    step: float
    advanced: bool


def hint(**hints: Unpack[_FormHints]) -> dict[str, JsonValue]:
    """Return the ``json_schema_extra`` of a parameter: hints for a form that the rest of its schema does not contain.

    :param step: the difference between two neighboring values of a number.
    :param advanced: whether few people need it.
    """
    return {HINTS: {name: value for name, value in hints.items() if isinstance(value, str | int | float)}}


class NoParams(Params):
    """No parameters."""


Side = Annotated[int, Field(ge=1, le=MAX_SIDE, json_schema_extra=hint(unit="px"))]
"""Pixels along a side of a result."""

FileId = Annotated[int, Field(ge=1, le=2**63 - 1, json_schema_extra=hint(widget="file"))]
"""The id of a stored file."""

Percent = Annotated[float, Field(ge=-100, le=100, json_schema_extra=hint(widget="slider", unit="%", step=1))]

Share = Annotated[float, Field(ge=0, le=1, json_schema_extra=hint(widget="slider", step=0.01))]
"""A share from 0 to 1."""
