"""Errors of a service's rules, independent of HTTP."""

from dataclasses import dataclass, field
from typing import TypedDict


class FieldError(TypedDict):
    """An invalid field: a JSON pointer to it (RFC 6901) and what is wrong."""

    pointer: str
    detail: str


@dataclass(eq=False)
class DomainError(Exception):
    """A rule refuses the request.

    Each API maps ``kind`` to an HTTP status in one table.

    :param kind: the last part of the problem's type URN, such as ``file-not-found``.
    :param detail: what happened and what to do about it.
    :param retry_after: seconds after which the same request may succeed.
    """

    kind: str
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    retry_after: int | None = None

    def __str__(self) -> str:
        return self.detail
