"""Errors of a service's rules, independent of HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

from service_kit.texts import Sentence, Value


class FieldError(TypedDict):
    """An invalid field: a JSON pointer to it (RFC 6901) and what is wrong.

    ``code`` is pydantic's type of the error or that of our own rule, and ``context`` what its words contain. Without
    them, the code is the kind of the whole error, and the context that of ``detail``.
    """

    pointer: str
    detail: str
    code: NotRequired[str]
    context: NotRequired[dict[str, Value]]


class RuleError(ValueError):
    """A rule of our own refuses a value that pydantic validates.

    :param code: of the problem's field, such as ``contradicting_range``.
    :param detail: what is wrong; a :class:`service_kit.texts.Sentence` can be translated.
    :param fields: what it is about, where the rule is one of several fields; each is named by its own pointer.
    """

    def __init__(self, code: str, detail: Sentence, fields: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.fields = fields


@dataclass(eq=False)
class DomainError(Exception):
    """A rule refuses the request.

    Each API maps ``kind`` to an HTTP status in one table.

    :param kind: the last part of the problem's type URN, such as ``file-not-found``.
    :param detail: what happened and what to do about it; a :class:`service_kit.texts.Sentence` can be translated.
    :param retry_after: seconds after which the same request may succeed.
    :param context: the values of the problem, where they are not those of ``detail``: those of a kind always have the
        same names.
    """

    kind: str
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    retry_after: int | None = None
    context: Mapping[str, Value] | None = None

    def __str__(self) -> str:
        return self.detail
