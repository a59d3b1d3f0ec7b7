"""Problem documents (RFC 9457): how an API answers errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import get_args

from pydantic import BaseModel, RootModel, ValidationError

from service_kit.errors import DomainError, FieldError

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass
class Problem(Exception):  # noqa: N818 (RFC 9457's word)
    """An error a client can act on.

    :param kind: the last part of the problem's type URN, such as ``file-not-found``.
    :param status: the HTTP status.
    :param detail: what happened and what to do about it.
    """

    kind: str
    status: int
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    retry_after: int | None = None

    def __str__(self) -> str:
        return self.detail

    def document(self) -> dict[str, object]:
        """The members of the problem document, ready for JSON."""
        document: dict[str, object] = {
            "type": f"urn:pixmill:problem:{self.kind}",
            "title": _PHRASES.get(self.status) or self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return document


def problem_of(error: DomainError, statuses: Mapping[str, int]) -> Problem:
    """Return the problem that answers a domain error.

    :param statuses: the HTTP status of each kind.
    :raises KeyError: the kind has none.
    """
    return Problem(error.kind, statuses[error.kind], error.detail, error.errors, error.retry_after)


def database_unavailable() -> Problem:
    """503: the database is away, and comes back."""
    return Problem("database-unavailable", 503, "The database does not answer; try again.", retry_after=5)


def invalid_fields(
    error: ValidationError, data: object, prefix: str = "", model: type[BaseModel] | None = None
) -> Problem:
    """Return the 422 problem that names each wrong field of ``error`` by a JSON pointer (RFC 6901).

    :param data: what was validated.
    :param prefix: the pointer to ``data`` in what was sent; empty where it is the whole.
    :param model: what it was validated as; where it is told, an unknown field is answered with those that there are.
    """
    errors: list[FieldError] = []
    for item in error.errors():
        path = _path(item["loc"], data, keep_last=item["type"] == "missing")
        # Pydantic puts this before the words of our own checks.
        detail = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden" and (known := _known_fields(model, item["loc"][:-1])):
            detail = f"There is no such field; there are: {', '.join(known)}"
        wrong = FieldError(pointer=prefix + "".join(f"/{_escaped(part)}" for part in path), detail=detail)
        if wrong not in errors:
            errors.append(wrong)
    summary = "; ".join(f"{item['pointer'] or 'the whole'}: {item['detail']}" for item in errors[:3])
    return Problem("invalid-fields", 422, f"The request has wrong fields: {summary}", errors[:100])


def _escaped(part: str) -> str:
    """Return a part of a JSON pointer as RFC 6901, section 3 writes it."""
    return part.replace("~", "~0").replace("/", "~1")


def _known_fields(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> Sequence[str]:
    """The fields of the model that lies at ``location`` in another; none where it cannot be told."""
    model = _model_in(model)
    for part in location:
        if model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The one model that a type is, or holds."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _model_in(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = {model for argument in get_args(annotation) if (model := _model_in(argument)) is not None}
    return found.pop() if len(found) == 1 else None


def _path(location: tuple[int | str, ...], data: object, *, keep_last: bool) -> list[str]:
    """The way through ``data``: pydantic's location without the names of the alternatives that it tried."""
    path = []
    for place, part in enumerate(location):
        if isinstance(data, Mapping) and (part in data or (keep_last and place + 1 == len(location))):
            data = data.get(part)
        elif isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(str(part))
    return path
