"""Filters, sort orders and page cursors of file lists."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Literal, get_args

from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import Boolean, ColumnElement, Select, String, func, literal, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from file_storage.models import File
from file_storage.services.names import folded

Sort = Literal["id", "-id", "name", "-name", "size", "-size", "created_at", "-created_at"]
SORTS = get_args(Sort)

_SORT_COLUMNS: dict[str, ColumnElement[object]] = {
    "name": func.substr(File.search_name, 1, 255),
    "size": File.size,  # type: ignore[dict-item]  # a column of one type is one of any for what is done here
    "created_at": File.created_at,  # type: ignore[dict-item]  # as above
}


MAX_LETTERS = 2
"""Searches of up to this many letters use the letter index; longer ones use trigrams."""


class has_letters(GenericFunction[bool]):  # noqa: N801 (named as SQL functions are)
    """Whether a name contains one or two letters, by PostgreSQL's letter index; true on SQLite, where LIKE decides."""

    type = Boolean()
    inherit_cache = True


@compiles(has_letters, "postgresql")
def _has_letters_postgresql(element: has_letters, compiler: SQLCompiler, **options: object) -> str:
    name, letters = (compiler.process(clause, **options) for clause in element.clauses)
    return f"pixmill_letters({name}) @> ARRAY[{letters}]::text[]"


@compiles(has_letters, "sqlite")
def _has_letters_sqlite(_element: has_letters, _compiler: SQLCompiler, **_options: object) -> str:
    return "1"


@dataclass(frozen=True)
class FileFilter:
    """Conditions on the listed files; ``None`` sets no condition.

    :param name: part of the name with its extension, in any case.
    :param extension: with or without its dot, in any case.
    :param media_type: such as ``image/png``, or ``image/*`` for all images.
    :param created_after: in seconds since 1970, exclusive, like ``created_before``.
    :param size_min: in bytes, inclusive, like ``size_max``.
    """

    name: str | None = None
    extension: str | None = None
    media_type: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    size_min: int | None = None
    size_max: int | None = None
    sort: Sort = "id"

    def page(self, after: str, limit: int) -> Select[File]:
        """Return the query for at most ``limit`` files after the cursor ``after`` (empty: from the start).

        :raises DomainError: ``page-not-found``, the cursor does not belong to this sort order.
        """
        column = self.sort.removeprefix("-")
        keys = [_SORT_COLUMNS[column], File.id] if column in _SORT_COLUMNS else [File.id]
        page = select(File).where(*self._conditions()).limit(limit)
        if after:
            row, position = tuple_(*keys), tuple_(*self._position(after))
            page = page.where(row < position if self.sort.startswith("-") else row > position)
        return page.order_by(*(key.desc() if self.sort.startswith("-") else key for key in keys))

    def cursor(self, file: File) -> str:
        """Return the cursor of a file in this order; the next page begins after it."""
        match self.sort.removeprefix("-"):
            case "name":
                return _cursor(file.search_name[:255], file.id)
            case "size":
                return _cursor(file.size, file.id)
            case "created_at":
                return _cursor(file.created_at, file.id)
            case _:
                return str(file.id)

    def _position(self, cursor: str) -> list[object]:
        column = self.sort.removeprefix("-")
        try:
            if column not in _SORT_COLUMNS:
                return [_checked_id(int(cursor))]
            value, file_id = json.loads(urlsafe_b64decode(cursor.encode()))
            return [_checked_text(value) if column == "name" else _checked_number(value), _checked_id(file_id)]
        except (ValueError, TypeError, RecursionError) as error:
            detail = sentence(
                "This cursor does not belong to this sort order; take the next page's URL from the Link header."
            )
            raise DomainError("page-not-found", detail) from error

    def _conditions(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.name is not None:
            name = folded(self.name)
            conditions.append(File.search_name.contains(name, autoescape=True))
            if 0 < len(name) <= MAX_LETTERS:
                conditions.append(has_letters(File.search_name, literal(name, String)))
        if self.extension is not None:
            extension = self.extension.lower()
            conditions.append(File.extension == (f".{extension.removeprefix('.')}" if extension else ""))
        if self.media_type is not None:
            conditions.append(_of_type(self.media_type.lower()))
        if self.created_after is not None:
            conditions.append(File.created_at > self.created_after)
        if self.created_before is not None:
            conditions.append(File.created_at < self.created_before)
        if self.size_min is not None:
            conditions.append(File.size >= self.size_min)
        if self.size_max is not None:
            conditions.append(File.size <= self.size_max)
        return conditions


def _of_type(media_type: str) -> ColumnElement[bool]:
    kind, slash, subtype = media_type.partition("/")
    if slash and subtype == "*":
        # "0" follows "/" in ASCII, so this is a range of the index.
        return (File.media_type > f"{kind}/") & (File.media_type < f"{kind}0")
    return File.media_type == media_type


def _cursor(value: str | float, file_id: int) -> str:
    return urlsafe_b64encode(json.dumps([value, file_id]).encode()).decode()


def _checked_id(number: object) -> int:
    if not isinstance(number, int) or not 0 <= number < 2**63:
        raise ValueError(number)
    return number


def _checked_number(number: object) -> float:
    if not isinstance(number, int | float) or not abs(number) < 2**63:
        raise ValueError(number)
    return number


def _checked_text(text: object) -> str:
    if not isinstance(text, str) or b"\0" in text.encode():
        raise ValueError(text)
    return text
