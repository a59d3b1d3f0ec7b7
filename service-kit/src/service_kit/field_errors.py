"""Turns pydantic's validation errors into JSON pointers and messages."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, reduce
from typing import get_args

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

from service_kit.errors import DomainError, FieldError, RuleError
from service_kit.texts import Counted, Sentence, Value, context_of, sentence, text_of

MAX_ERRORS = 100
"""Maximum number of invalid fields in a problem."""


def invalid_fields(
    error: ValidationError, data: object, prefix: str = "", model: type[BaseModel] | None = None
) -> DomainError:
    """Return the error that lists the invalid fields of ``error``, at most 100, as JSON pointers (RFC 6901).

    :param data: the value that was validated.
    :param prefix: the pointer to ``data`` in the request; empty if ``data`` is the whole request.
    :param model: the model used for validation; if given, the message for an unknown field lists the known ones.
    """
    # A dictionary keeps the order; searching a list would take quadratic time for a request with many wrong values.
    errors: dict[tuple[str, str], FieldError] = {}
    for item in _meant(error.errors(include_url=False, include_input=False), data):
        path = _path(item["loc"], data, keep_last=item["type"] == "missing")
        detail = _sentence(item)
        if item["type"] == "extra_forbidden" and (known := _known_fields(model, item["loc"][:-1])):
            detail = sentence("Unknown field; the fields are: {fields}", fields=", ".join(known))
        pointer = prefix + "".join(f"/{_escaped(part)}" for part in path)
        own = item.get("ctx", {}).get("error")
        code, fields = (own.code, own.fields) if isinstance(own, RuleError) else (item["type"], ())
        context = context_of(detail)
        if code == "extra_forbidden":
            context.setdefault("fields", None)
        for named_pointer in [f"{pointer}/{_escaped(field)}" for field in fields] or [pointer]:
            found = FieldError(pointer=named_pointer, detail=detail, code=code, context=context)
            errors[named_pointer, detail] = found
        if len(errors) >= MAX_ERRORS:
            break
    named = list(errors.values())[:MAX_ERRORS]
    return DomainError("invalid-fields", summary_of(named), named)


TEMPLATES = {
    "greater_than": "Input should be greater than {gt}",
    "greater_than_equal": "Input should be greater than or equal to {ge}",
    "less_than": "Input should be less than {lt}",
    "less_than_equal": "Input should be less than or equal to {le}",
    "multiple_of": "Input should be a multiple of {multiple_of}",
    "too_short": "A list should have at least {min_length} items, not {actual_length}",
    "too_long": "A list should have at most {max_length} items",
    "string_too_short": "String should have at least {min_length} characters",
    "string_too_long": "String should have at most {max_length} characters",
    "string_pattern_mismatch": "String should match pattern '{pattern}'",
    "enum": "Input should be {expected}",
    "literal_error": "Input should be {expected}",
    "datetime_parsing": "Input should be a valid datetime, {error}",
    "datetime_from_date_parsing": "Input should be a valid datetime or date, {error}",
    "url_parsing": "Input should be a valid URL, {error}",
    "url_scheme": "URL scheme should be {expected_schemes}",
    "url_too_long": "URL should have at most {max_length} characters",
    "model_type": "Input should be a valid dictionary",
    "union_tag_invalid": "Input tag '{tag}' found using {discriminator} does not match any of the expected tags: "
    "{expected_tags}",
    "union_tag_not_found": "Unable to extract tag using discriminator {discriminator}",
}
"""Templates of pydantic's messages that contain values, for the catalogs. The English text is pydantic's own."""
_COUNTED = {
    "too_short": Counted("A list should have at least {min_length} item, not {actual_length}", "min_length"),
    "too_long": Counted("A list should have at most {max_length} item", "max_length"),
    "string_too_short": Counted("String should have at least {min_length} character", "min_length"),
    "string_too_long": Counted("String should have at most {max_length} character", "max_length"),
    "url_too_long": Counted("URL should have at most {max_length} character", "max_length"),
}
"""The singular of the templates with a number before a noun."""
_CHOICES = ("expected", "expected_schemes")
"""Names of values that list choices in English; other values may quote the request."""
_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*'|-?\d+)>")
"""How pydantic writes an enumeration's member that a ``Literal`` allows; a client knows only the member's value."""
_OPTIONS = ("literal_error", "enum")
"""Errors of a value that is not among the few allowed ones."""
_REASONS = ("datetime_parsing", "datetime_from_date_parsing", "url_parsing")
"""Errors whose value ``error`` is a reason in English; there are few reasons, and the catalogs have all of them."""


def summary_of(errors: Sequence[FieldError]) -> Sentence:
    """Return a sentence with the first three errors, each translated separately."""
    named = [
        sentence("{pointer}: {detail}", pointer=item["pointer"] or sentence("the whole"), detail=item["detail"])
        for item in errors[:3]
    ]
    listed = reduce(lambda before, after: sentence("{before}; {after}", before=before, after=after), named)
    return sentence("The request has invalid fields: {fields}", fields=listed)


def _sentence(item: ErrorDetails) -> Sentence:
    """Return the message of a pydantic error: a template and its values, or the text of our own check."""
    context = item.get("ctx", {})
    own = context.get("error")
    if isinstance(own, Exception):
        said = text_of(own)
        return said if isinstance(said, Sentence) else sentence(said)
    values = {name: _choice(value) if name in _CHOICES else _value(value) for name, value in context.items()}
    if item["type"] in _REASONS:
        values["error"] = Sentence(str(own), {})
    template = TEMPLATES.get(item["type"])
    if template is None:
        # The message may quote the request, whose braces are not placeholders.
        template = item["msg"].replace("{", "{{").replace("}", "}}") if values else item["msg"]
    said = _MEMBER.sub(r"\1", item["msg"]) if item["type"] in _OPTIONS else item["msg"]
    return Sentence(template, values, said, _COUNTED.get(item["type"]))


def _value(value: object) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float) else None if value is None else str(value)


def _choice(value: object) -> Value:
    *choices, last = _MEMBER.sub(r"\1", str(value)).rsplit(" or ", 1)
    return sentence("{choices} or {last}", choices=choices[0], last=last) if choices else last


def _escaped(part: str) -> str:
    """Escape a part of a JSON pointer (RFC 6901, 3)."""
    return part.replace("~", "~0").replace("/", "~1")


def _known_fields(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> Sequence[str]:
    """Return the field names of the model at ``location`` within ``model``; empty if the model is ambiguous."""
    model = _model_in(model)
    for part in location:
        if model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation)
    return [] if model is None else _described_fields(model)


@cache
def _described_fields(model: type[BaseModel]) -> Sequence[str]:
    """Return the fields in the model's schema, which omits those that a client cannot send."""
    properties = model.model_json_schema().get("properties", {})
    return list(properties) if isinstance(properties, Mapping) else []


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the only model that a type is or contains; ``None`` if there are several or none."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _model_in(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = {model for argument in get_args(annotation) if (model := _model_in(argument)) is not None}
    return found.pop() if len(found) == 1 else None


def _meant(items: Sequence[ErrorDetails], data: object) -> Iterable[ErrorDetails]:
    """Return the errors without those of the members of a union that the client did not mean.

    Pydantic lists the errors of all members. A client that sends a list means the list, and not the value that may be
    sent instead of it.
    """
    members = [_union_member(item, data) for item in items]
    strange = {member for item, member in zip(items, members, strict=True) if _is_of_other_type(item, member, data)}
    fitting = {member[:-1] for member in members if member and member not in strange}
    return [
        item for item, member in zip(items, members, strict=True) if member not in strange or member[:-1] not in fitting
    ]


def _union_member(item: ErrorDetails, data: object) -> tuple[int | str, ...]:
    """Return the location of an error up to the name of a union's member; empty if the error is not within a union."""
    location = item["loc"]
    names = (place for place, (_, within) in enumerate(_walk(location, data)) if not within)
    place = next(names, len(location))
    is_missing = item["type"] == "missing" and place + 1 == len(location)
    return () if place == len(location) or is_missing else location[: place + 1]


def _is_of_other_type(item: ErrorDetails, member: tuple[int | str, ...], data: object) -> bool:
    """Return whether the value has another JSON type than the union's ``member``."""
    if not member or item["loc"] != member:
        return False
    value = [data, *(value for value, _ in _walk(member, data))][-1]
    return item["type"].endswith("_type") or (item["type"] in _OPTIONS and isinstance(value, list))


def _walk(location: tuple[int | str, ...], data: object) -> Iterator[tuple[object, bool]]:
    """Yield the value at each part of ``location``, and whether the part leads into ``data``.

    Other parts are names of union members, or a missing field.
    """
    for part in location:
        if isinstance(data, Mapping) and part in data:
            data = data.get(part)
        elif isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            yield data, False
            continue
        yield data, True


def _path(location: tuple[int | str, ...], data: object, *, keep_last: bool) -> list[str]:
    """Return the path through ``data``: pydantic's location without the names of union members."""
    last = len(location) - 1
    return [
        str(part)
        for place, (part, (value, within)) in enumerate(zip(location, _walk(location, data), strict=True))
        if within or (keep_last and place == last and isinstance(value, Mapping))
    ]
