"""Pydantic's validation errors as JSON pointers and messages."""

from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import BaseModel, RootModel, ValidationError

from service_kit.errors import DomainError, FieldError

MAX_ERRORS = 100
"""Invalid fields that a problem names, at most."""


def invalid_fields(
    error: ValidationError, data: object, prefix: str = "", model: type[BaseModel] | None = None
) -> DomainError:
    """Return the error that names the invalid fields of ``error``, at most 100, by JSON pointers (RFC 6901).

    :param data: the value that was validated.
    :param prefix: the pointer to ``data`` in the request; empty if it is the whole.
    :param model: the model it was validated as; if given, the message for an unknown field lists the known ones.
    """
    # A dictionary for its order: a search of a list would take quadratic time for a request of many wrong values.
    errors: dict[tuple[str, str], FieldError] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = _path(item["loc"], data, keep_last=item["type"] == "missing")
        # Pydantic adds this prefix to the messages of our own checks.
        detail = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden" and (known := _known_fields(model, item["loc"][:-1])):
            detail = f"Unknown field; the fields are: {', '.join(known)}"
        pointer = prefix + "".join(f"/{_escaped(part)}" for part in path)
        errors[pointer, detail] = FieldError(pointer=pointer, detail=detail)
        if len(errors) == MAX_ERRORS:
            break
    named = list(errors.values())
    summary = "; ".join(f"{item['pointer'] or 'the whole'}: {item['detail']}" for item in named[:3])
    return DomainError("invalid-fields", f"The request has wrong fields: {summary}", named)


def _escaped(part: str) -> str:
    """Escape a part of a JSON pointer (RFC 6901, 3)."""
    return part.replace("~", "~0").replace("/", "~1")


def _known_fields(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> Sequence[str]:
    """Return the field names of the model at ``location`` in ``model``; none if it is ambiguous."""
    model = _model_in(model)
    for part in location:
        if model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the only model that a type is or contains; ``None`` for several or none."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _model_in(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = {model for argument in get_args(annotation) if (model := _model_in(argument)) is not None}
    return found.pop() if len(found) == 1 else None


def _path(location: tuple[int | str, ...], data: object, *, keep_last: bool) -> list[str]:
    """Return the path through ``data``: pydantic's location without the names of the union members that it tried."""
    path = []
    for index, part in enumerate(location):
        if isinstance(data, Mapping) and (part in data or (keep_last and index + 1 == len(location))):
            data = data.get(part)
        elif isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(str(part))
    return path
