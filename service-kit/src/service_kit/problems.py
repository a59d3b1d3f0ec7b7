"""Problem documents (RFC 9457): the error responses of the APIs."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service_kit.errors import DomainError, FieldError
from service_kit.field_errors import invalid_fields
from service_kit.languages import ENGLISH, Language, translated
from service_kit.texts import Value, context_of, sentence

TYPES = "urn:pixmill:problem:"
"""The prefix of the type of every problem."""

_SQLITE_DISK_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The second code means that the disk has no room for the shared memory of connections, which readers need too."""
_POSTGRESQL_DISK_FULL = "53100"
"""The SQLSTATE of a full disk."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass
class Problem(Exception):  # noqa: N818 (RFC 9457's name)
    """An error that a client can act on.

    :param kind: the last part of the problem's type URN, such as ``file-not-found``.
    :param status: the HTTP status.
    :param detail: what happened and how to fix it; a :class:`service_kit.texts.Sentence` can be translated.
    :param headers: of the response, in addition to those of every problem.
    :param context: as in :class:`DomainError`.
    """

    kind: str
    status: int
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Value] | None = None

    def __str__(self) -> str:
        return self.detail

    def document(self, language: Language = ENGLISH) -> dict[str, object]:
        """Return the members of the problem document, ready for JSON."""
        title = _PHRASES.get(self.status) or self.kind.replace("-", " ").capitalize()
        document: dict[str, object] = {
            "type": f"{TYPES}{self.kind}",
            "title": translated(title, language),
            "status": self.status,
            "detail": translated(self.detail, language),
            "code": self.kind,
            "context": self._context(),
        }
        if self.errors:
            document["errors"] = [self._field(error, language) for error in self.errors]
        return document

    def _context(self) -> Mapping[str, Value]:
        if self.kind == "invalid-fields":
            return {"fields": list(dict.fromkeys(error["pointer"] for error in self.errors))}
        return context_of(self.detail) if self.context is None else self.context

    def _field(self, error: FieldError, language: Language) -> FieldError:
        return FieldError(
            pointer=error["pointer"],
            detail=translated(error["detail"], language),
            code=error.get("code", self.kind),
            context=error["context"] if "context" in error else context_of(error["detail"]),
        )


def problem_of(error: DomainError, statuses: Mapping[str, int]) -> Problem:
    """Return the problem for a domain error.

    :param statuses: the HTTP status of each kind.
    :raises KeyError: the kind has no status.
    """
    return problem_with(error, statuses[error.kind])


def problem_with(error: DomainError, status: int) -> Problem:
    """Return the problem for a domain error with this HTTP status."""
    return Problem(error.kind, status, error.detail, error.errors, error.retry_after, context=error.context)


def database_unavailable() -> Problem:
    """Return the 503 problem for a database that does not answer."""
    return Problem("database-unavailable", 503, sentence("The database does not answer; try again."), retry_after=5)


def database_failed(error: SQLAlchemyError) -> Problem:
    """Return the problem for a failed statement: 507 if the database's disk is full, otherwise 503."""
    if not _is_full(error):
        return database_unavailable()
    return Problem(
        "database-full", 507, sentence("The disk of the database is full; nothing was changed."), retry_after=5
    )


def _is_full(error: SQLAlchemyError) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _SQLITE_DISK_FULL
    return getattr(cause, "sqlstate", None) == _POSTGRESQL_DISK_FULL


def invalid_request(
    error: ValidationError, data: object, prefix: str = "", model: type[BaseModel] | None = None
) -> Problem:
    """Return the 422 problem that lists each invalid field of a request, as :func:`invalid_fields` does."""
    found = invalid_fields(error, data, prefix, model)
    return problem_of(found, {found.kind: 422})
