"""Problem documents (RFC 9457), raised anywhere and rendered by the API."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypedDict

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class FieldError(TypedDict):
    """One wrong field: a JSON pointer to it (RFC 6901) and what is wrong."""

    pointer: str
    detail: str


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


def database_unavailable() -> Problem:
    """503: the database is away, and comes back."""
    return Problem("database-unavailable", 503, "The database does not answer; try again.", retry_after=5)
