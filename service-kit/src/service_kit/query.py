"""Query parameters as pydantic models."""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Self, TypeVar

from flask import Flask, has_request_context, request
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from service_kit.errors import FieldError, RuleError
from service_kit.problems import Problem, invalid_request
from service_kit.texts import sentence

_View = TypeVar("_View", bound=Callable[..., object])
_TAKES_ANY = "pixmill_takes_any_query"
_RANGES = {"_min": "_max", "_after": "_before"}
"""The suffixes of two parameters that form a range."""


class Query(BaseModel):
    """The query parameters of a request: an unknown parameter is an error, and so is one that is given twice.

    A list takes a parameter several times.

    flask-openapi3 needs the schema in every request; building it takes longer than many requests, so it is cached.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        """Refuse an empty range, such as ``size_min`` above ``size_max``.

        Times must be annotated with :data:`~service_kit.json_types.TIME`, so that they can be compared.
        """
        for name in self.__class__.model_fields:
            for lower_end, upper_end in _RANGES.items():
                upper = name.removesuffix(lower_end) + upper_end
                if not name.endswith(lower_end):
                    continue
                _check_range(name, getattr(self, name), upper, getattr(self, upper, None))
        return self

    @classmethod
    def model_validate(cls, obj: object, **options: object) -> Self:
        """Return the validated parameters.

        :raises Problem: 422; for an unknown parameter, the problem lists the known ones.
        """
        if has_request_context():
            cls.check_repetition({name: len(values) for name, values in request.args.lists()})
        try:
            return super().model_validate(obj, **options)  # type: ignore[arg-type]  # passed on unchanged
        except ValidationError as error:
            raise invalid_request(error, obj, model=cls) from error

    @classmethod
    def check_repetition(cls, counts: Mapping[str, int]) -> None:
        """Check that no parameter is repeated unless it is a list: all values but one would be dropped silently.

        :param counts: how often each parameter is given.
        :raises Problem: 422.
        """
        repeated = [name for name, count in counts.items() if count > 1 and not cls._is_list(name)]
        if repeated:
            once = sentence("May be given only once.")
            errors = [FieldError(pointer=f"/{name}", detail=once, code="repeated") for name in repeated]
            detail = sentence("These parameters may be given only once: {names}", names=", ".join(repeated))
            raise Problem("invalid-fields", 422, detail, errors)

    @classmethod
    def _is_list(cls, name: str) -> bool:
        properties = cls.model_json_schema()["properties"]
        described = properties.get(name, {}) if isinstance(properties, Mapping) else {}
        return any(choice.get("type") == "array" for choice in (described, *described.get("anyOf", [])))

    @classmethod
    @cache
    def model_json_schema(cls, *args: object, **options: object) -> dict[str, object]:  # type: ignore[override]  # cached
        return super().model_json_schema(*args, **options)  # type: ignore[arg-type]  # passed on unchanged


def _check_range(lower: str, start: object, upper: str, end: object) -> None:
    """Check that a range is not empty. Both ends of a range of times are exclusive.

    :raises RuleError: no value lies in the range.
    """
    if isinstance(start, datetime) and isinstance(end, datetime) and start >= end:
        detail = sentence("{lower} is not before {upper}", lower=lower, upper=upper)
        raise RuleError("contradicting_range", detail, [lower, upper])
    if isinstance(start, int | float) and isinstance(end, int | float) and start > end:
        detail = sentence("{lower} is greater than {upper}", lower=lower, upper=upper)
        raise RuleError("contradicting_range", detail, [lower, upper])


def refuse_query() -> None:
    """Raise an error if the current request has query parameters; it takes none, and ignoring them would mislead.

    :raises Problem: 422, it has some.
    """
    Query.model_validate(request.args.to_dict())


def takes_any_query(view: _View) -> _View:
    """Mark a view that reads the query itself, or whose URLs may have parameters that mean nothing to it."""
    setattr(view, _TAKES_ANY, True)
    return view


def refuse_unknown_queries(app: Flask) -> None:
    """Let ``app`` refuse a query of a route that defines none; other routes check theirs with :class:`Query`.

    Call this after the gate is in place: a stranger learns nothing about a route.
    """
    taking = {name for name, view in app.view_functions.items() if _takes_query(view)}

    def refuse() -> None:
        if request.endpoint is not None and request.endpoint not in taking and request.method != "OPTIONS":
            refuse_query()

    app.before_request(refuse)


def _takes_query(view: Callable[..., object]) -> bool:
    return hasattr(view, _TAKES_ANY) or "query" in inspect.signature(view).parameters
