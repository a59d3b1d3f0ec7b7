"""Filters, sort orders and page cursors of file lists."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVarTuple

from service_kit.access.principals import Principal
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    SQLColumnExpression,
    String,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from file_storage.models import File
from file_storage.services.file_rows import PRESENT
from file_storage.services.names import folded

Sort = Literal["id", "-id", "name", "-name", "size", "-size", "created_at", "-created_at", "taken_at", "-taken_at"]

_TAKEN_OR_CREATED = func.coalesce(File.taken_at, File.created_at)
_SORT_COLUMNS: dict[str, ColumnElement[object]] = {
    "name": func.substr(File.search_name, 1, 255),
    "size": File.size,  # type: ignore[dict-item]  # mypy: ColumnElement is invariant in its type
    "created_at": File.created_at,  # type: ignore[dict-item]  # as above
    "taken_at": _TAKEN_OR_CREATED,  # type: ignore[dict-item]  # as above
}

_Columns = TypeVarTuple("_Columns")

IndexRow = tuple[int, int | None, int | None, *tuple[object, ...]]
"""The id, width and height of a file, and its sort value unless it is sorted by id."""

EXAMINED = 1000
"""Number of ids, beyond those of a page, that are examined in order before the files of a range of time are sorted."""
MAX_LETTERS = 2
"""Searches of up to this many letters use the letter index; longer ones use trigrams."""


class has_letters(GenericFunction[bool]):  # noqa: N801 (named as SQL functions are)
    """Whether a name contains one or two letters, by PostgreSQL's letter index; true on SQLite, where LIKE decides."""

    type = Boolean()
    inherit_cache = True
    splitter = "pixmill_letters"


class text_has_letters(has_letters):  # noqa: N801 (named as SQL functions are)
    """Whether a comment contains one or two letters, like :class:`has_letters`."""

    inherit_cache = True
    splitter = "pixmill_letters_of_text"


@compiles(has_letters, "postgresql")
@compiles(text_has_letters, "postgresql")
def _has_letters_postgresql(element: has_letters, compiler: SQLCompiler, **options: object) -> str:
    name, letters = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{element.splitter}({name}) @> ARRAY[{letters}]::text[]"


@compiles(has_letters, "sqlite")
@compiles(text_has_letters, "sqlite")
def _has_letters_sqlite(_element: has_letters, _compiler: SQLCompiler, **_options: object) -> str:
    return "1"


@dataclass(frozen=True)
class FileFilter:
    """Conditions on the listed files; ``None`` or an empty sequence sets no condition.

    :param name: part of the name with its extension, in any case.
    :param q: part of the name or of the comment, in any case.
    :param extension: any of these, with or without the dot, in any case.
    :param media_type: any of these, such as ``image/png``, or ``image/*`` for all images.
    :param origin: any of these.
    :param task_id: any of these.
    :param folder: this folder and all folders below it.
    :param taken_after: seconds since 1970, exclusive, as is ``taken_before``; only files with a date match.
    :param created_after: seconds since 1970, exclusive, as is ``created_before``.
    :param size_min: bytes, inclusive, as is ``size_max``.
    """

    name: str | None = None
    q: str | None = None
    extension: Sequence[str] = ()
    media_type: Sequence[str] = ()
    origin: Sequence[str] = ()
    source_id: int | None = None
    task_id: Sequence[int] = ()
    batch_id: int | None = None
    folder: str | None = None
    taken_after: float | None = None
    taken_before: float | None = None
    created_after: float | None = None
    created_before: float | None = None
    size_min: int | None = None
    size_max: int | None = None
    sort: Sort = "id"

    def page(self, principal: Principal, after: str, limit: int) -> Select[File]:
        """Return the query for at most ``limit`` files after the cursor ``after`` (empty: from the start).

        :param principal: only files that this principal may see are returned.
        :raises DomainError: ``page-not-found`` if the cursor does not belong to this sort order.
        """
        return self._in_order(select(File), principal, self._position(after) if after else (), limit)

    def index_page(self, principal: Principal, after: IndexRow | None, limit: int) -> "Select[*tuple[object, ...]]":
        """Return the query for the :data:`IndexRow` of at most ``limit`` files after the row ``after``."""
        sorted_by = self._sorted_by()
        columns = [] if sorted_by is None else [sorted_by.label("sorted_by")]
        row = select(File.id, File.width, File.height, *columns)
        return self._in_order(row, principal, () if after is None else (*after[3:], after[0]), limit)

    def _in_order(
        self, rows: "Select[*_Columns]", principal: Principal, position: Sequence[object], limit: int
    ) -> "Select[*_Columns]":
        wanted, of_creation = [*self._of_properties()], [*self._of_creation(File.created_at)]
        sorted_by, is_descending = self._sorted_by(), self._is_descending
        if of_creation and not wanted and sorted_by is None:
            return self._near(rows, principal, position, limit)
        keys: list[SQLColumnExpression[object]] = [File.id] if sorted_by is None else [sorted_by, File.id]
        page = rows.where(*self.conditions()).limit(limit)
        if principal.sees_all or wanted or of_creation:
            page = page.where(principal.owns(File.owner))
        else:
            # With an equality, PostgreSQL sorts without the owner and may read the files of all owners in that order.
            # Only one condition may bound each end, because PostgreSQL would start at the looser one.
            keys = [File.owner, *keys]
            if not (position and is_descending):
                page = page.where(File.owner <= principal.owner)
            if not (position and not is_descending):
                page = page.where(File.owner >= principal.owner)
            position = (principal.owner, *position) if position else ()
        if position:
            here, there = tuple_(*keys), tuple_(*position)
            page = page.where(here < there if is_descending else here > there)
        return page.order_by(*(key.desc() if is_descending else key for key in keys))

    def _near(
        self, rows: "Select[*_Columns]", principal: Principal, position: Sequence[object], limit: int
    ) -> "Select[*_Columns]":
        """Return the query for files created in a range of time, in the order of their ids.

        Ids mostly grow with time, so PostgreSQL, which expects the files of the range anywhere, might read all other
        files. Look among the next few ids instead; only if too few of these files are in the range, which is so on its
        first and last page, sort those of the range that have later ids.
        """
        examined = limit + EXAMINED
        walk = FileFilter(sort=self.sort)
        walked = walk._in_order(select(File.id, File.created_at), principal, position, examined).cte("walked")
        in_range = [*self._of_creation(walked.c.created_at)]
        end = func.min(walked.c.id) if self._is_descending else func.max(walked.c.id)
        too_few = func.count().filter(*in_range) < limit
        after = select(end).having(func.count() == examined, too_few).scalar_subquery()
        later = select(File.id).where(PRESENT, principal.owns(File.owner), *self._of_creation(File.created_at))
        # Without an expression, PostgreSQL might read all files with later ids instead of those of the range.
        key = File.id + literal_column("0")
        later = later.where(after.is_not(None), key < after if self._is_descending else key > after)
        later = later.order_by(key.desc() if self._is_descending else key).limit(limit)
        found = union_all(select(walked.c.id).where(*in_range), select(later.subquery())).subquery()
        ordered = found.c.id.desc() if self._is_descending else found.c.id
        page = rows.where(File.id.in_(select(found.c.id).order_by(ordered).limit(limit)))
        return page.order_by(File.id.desc() if self._is_descending else File.id)

    @property
    def _is_descending(self) -> bool:
        return self.sort.startswith("-")

    def _sorted_by(self) -> ColumnElement[object] | None:
        """Return the sort column that precedes the id; ``None`` if files are sorted by id alone."""
        return _SORT_COLUMNS.get(self.sort.removeprefix("-"))

    def cursor(self, file: File) -> str:
        """Return the cursor of a file in this order; the next page begins after it."""
        match self.sort.removeprefix("-"):
            case "name":
                return _cursor(file.search_name[:255], file.id)
            case "size":
                return _cursor(file.size, file.id)
            case "created_at":
                return _cursor(file.created_at, file.id)
            case "taken_at":
                return _cursor(file.created_at if file.taken_at is None else file.taken_at, file.id)
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

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """Return the conditions of the rows that match the filter."""
        return [PRESENT, *self._of_properties(), *self._of_creation(File.created_at)]

    def _of_properties(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on all but the time of creation."""
        yield from self._of_text()
        yield from self._of_kind()
        yield from self._of_place()
        yield from self._of_time_taken()
        yield from self._of_size()

    def _of_text(self) -> Iterator[ColumnElement[bool]]:
        if self.name is not None:
            yield _contains(File.search_name, self.name, has_letters)
        if self.q is not None:
            in_comment = _contains(File.search_comment, self.q, text_has_letters)
            yield _contains(File.search_name, self.q, has_letters) | in_comment

    def _of_kind(self) -> Iterator[ColumnElement[bool]]:
        if self.extension:
            lower = [extension.lower().removeprefix(".") for extension in self.extension]
            yield File.extension.in_([f".{extension}" if extension else "" for extension in lower])
        if self.media_type:
            yield or_(*(_of_type(media_type.lower()) for media_type in self.media_type))

    def _of_place(self) -> Iterator[ColumnElement[bool]]:
        if self.origin:
            yield File.origin.in_(self.origin)
        if self.source_id is not None:
            yield File.source_id == self.source_id
        if self.task_id:
            yield File.task_id.in_(self.task_id)
        if self.batch_id is not None:
            yield File.batch_id == self.batch_id
        if self.folder:
            yield _in_folder(self.folder)

    def _of_creation(self, created_at: SQLColumnExpression[float]) -> Iterator[ColumnElement[bool]]:
        if self.created_after is not None:
            yield created_at > self.created_after
        if self.created_before is not None:
            yield created_at < self.created_before

    def _of_time_taken(self) -> Iterator[ColumnElement[bool]]:
        # Compare the column itself, and the indexed value, which is the creation time if there is no photo date.
        for time in (File.taken_at, _SORT_COLUMNS["taken_at"]):
            if self.taken_after is not None:
                yield time > self.taken_after
            if self.taken_before is not None:
                yield time < self.taken_before

    def _of_size(self) -> Iterator[ColumnElement[bool]]:
        if self.size_min is not None:
            yield File.size >= self.size_min
        if self.size_max is not None:
            yield File.size <= self.size_max


def _contains(
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None], text: str, letters: type[has_letters]
) -> ColumnElement[bool]:
    part = folded(text)
    found = column.contains(part, autoescape=True)
    return found & letters(column, literal(part, String)) if 0 < len(part) <= MAX_LETTERS else found


def _in_folder(folder: str) -> ColumnElement[bool]:
    # "0" follows "/" in ASCII, so the first two conditions are an index range; the third, a literal, is the condition
    # of the partial index.
    in_range = (File.folder >= folder) & (File.folder < f"{folder}0") & (File.folder != literal_column("''"))
    return in_range & ((File.folder == folder) | (File.folder > f"{folder}/"))


def _of_type(media_type: str) -> ColumnElement[bool]:
    kind, slash, subtype = media_type.partition("/")
    if slash and subtype == "*":
        # "0" follows "/" in ASCII, so this is a range of the index.
        return (File.media_type > f"{kind}/") & (File.media_type < f"{kind}0")
    return File.media_type == media_type


def _cursor(value: str | float, file_id: int) -> str:
    return urlsafe_b64encode(json.dumps([value, file_id]).encode()).decode()


def _checked_id(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise ValueError(number)
    return number


def _checked_number(number: object) -> float:
    if not isinstance(number, int | float) or isinstance(number, bool) or not abs(number) < 2**63:
        raise ValueError(number)
    return number


def _checked_text(text: object) -> str:
    if not isinstance(text, str) or b"\0" in text.encode():
        raise ValueError(text)
    return text
