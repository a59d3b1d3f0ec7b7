"""Errors of the domain, independent of HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

from service_kit.texts import Value


class FieldError(TypedDict):
    """An invalid field: a JSON pointer to it (RFC 6901) and the reason.

    ``code`` is pydantic's error type or the code of our own rule, and ``context`` holds the values in the message. By
    default, both come from the whole error: its kind, and the context of ``detail``.
    """

    pointer: str
    detail: str
    code: NotRequired[str]
    context: NotRequired[dict[str, Value]]


class RuleError(ValueError):
    """A rule of our own refuses a value during pydantic's validation.

    :param code: the error code of the field, such as ``contradicting_range``.
    :param detail: the reason; a :class:`service_kit.texts.Sentence` can be translated.
    :param fields: the fields to report, for a rule about several fields; each gets its own pointer.
    """

    def __init__(self, code: str, detail: str, fields: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.fields = fields


@dataclass(eq=False)
class DomainError(Exception):
    """A rule of the domain refuses the request.

    Each API maps ``kind`` to an HTTP status in one table.

    :param kind: the last part of the problem's type URN, such as ``file-not-found``.
    :param detail: what happened and how to fix it; a :class:`service_kit.texts.Sentence` can be translated.
    :param retry_after: seconds after which the same request may succeed.
    :param context: the values of the problem, if they differ from those of ``detail``: problems of one kind always use
    the same names.
    """

    kind: str
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    retry_after: int | None = None
    context: Mapping[str, Value] | None = None

    def __str__(self) -> str:
        return self.detail


@contextmanager
def fields_below(pointer: str) -> Iterator[None]:
    """Wrap the validation of a part of a request, such as one of many objects.

    :param pointer: a JSON pointer to the part; the pointers of errors are relative to it.
    :raises DomainError: the error from the block, with pointers from the root of the request.
    """
    try:
        yield
    except DomainError as error:
        for field_error in error.errors:
            field_error["pointer"] = pointer + field_error["pointer"]
        raise


@contextmanager
def domain_errors_as_rules() -> Iterator[None]:
    """Wrap a check of the domain that runs during pydantic's validation, about the value that is validated.

    Pydantic reports a ``ValueError`` with the place of the value, and passes on any other error without it.

    :raises RuleError: the check refuses the value.
    """
    try:
        yield
    except DomainError as error:
        raise RuleError(error.errors[0].get("code", error.kind), error.detail) from error
