"""Keyset pagination: pages by ``?after=`` and ``?limit=``, or the whole list as a stream in constant memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import Response
from pydantic import Field

from service_kit.query import Query

ROWS_PER_READ = 1000
"""Maximum number of rows per read of a stream."""

Cursor = TypeVar("Cursor", int, str)
"""The key of the last row of the previous page."""


class PageQuery(Query, Generic[Cursor]):
    """The query parameters of a list."""

    limit: int | None = Field(
        None, ge=1, le=10_000, description="The maximum number of entries; the Link header has the next page's URL."
    )
    after: Cursor


T = TypeVar("T")


def list_response(
    page: Callable[[Cursor, int], Sequence[T]],
    cursor: Callable[[T], Cursor],
    as_json: Callable[[T], dict[str, object]],
    query: PageQuery[Cursor],
    url: str,
) -> Response:
    """Return the rows as a JSON array, in the order of their cursors.

    :param page: returns at most ``limit`` rows after a cursor: ``page(after, limit)``.
    :param url: the list's own URL, for the ``Link`` header (RFC 8288).
    """
    if query.limit is None:
        # Read the first rows now: once the response has begun, its status cannot report a database error.
        return Response(_stream(page, cursor, as_json, page(query.after, ROWS_PER_READ)), mimetype="application/json")
    rows = page(query.after, query.limit + 1)
    shown = rows[: query.limit]
    response = Response(json.dumps([as_json(row) for row in shown], ensure_ascii=False), mimetype="application/json")
    if len(rows) > len(shown):
        following = query.model_dump(mode="json", exclude_unset=True) | {"after": cursor(shown[-1])}
        response.headers["Link"] = f'<{url}?{urlencode(following, doseq=True)}>; rel="next"'
    return response


def _stream(
    page: Callable[[Cursor, int], Sequence[T]],
    cursor: Callable[[T], Cursor],
    as_json: Callable[[T], dict[str, object]],
    rows: Sequence[T],
) -> Iterator[str]:
    separator = "["
    while rows:
        yield separator + ",\n".join(json.dumps(as_json(row), ensure_ascii=False) for row in rows)
        separator = ",\n"
        rows = page(cursor(rows[-1]), ROWS_PER_READ) if len(rows) == ROWS_PER_READ else []
    yield "]" if separator != "[" else "[]"
