"""Lists by key: pages through ``?after=`` and ``?limit=``, or everything as one stream of constant memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import Response
from pydantic import Field

from service_kit.query import Query

CHUNK = 1000


Place = TypeVar("Place", int, str)
"""Where a page begins: behind a row that is known by this."""


class PageQuery(Query, Generic[Place]):
    """The query of a list."""

    limit: int | None = Field(None, ge=1, le=10_000, description="At most so many, with a Link to the next page.")
    after: Place


T = TypeVar("T")


def list_response(
    page: Callable[[Place, int], Sequence[T]],
    place: Callable[[T], Place],
    as_json: Callable[[T], dict[str, object]],
    query: PageQuery[Place],
    url: str,
) -> Response:
    """The JSON array of the rows, in the order of their places.

    :param page: gives at most ``limit`` rows behind a place: ``page(after, limit)``.
    :param url: the list's own URL, for the ``Link`` header (RFC 8288).
    """
    if query.limit is None:
        # The first rows now: once an answer has begun, its status cannot tell any more that the database is away.
        return Response(_stream(page, place, as_json, page(query.after, CHUNK)), mimetype="application/json")
    rows = page(query.after, query.limit + 1)
    shown = rows[: query.limit]
    response = Response(json.dumps([as_json(row) for row in shown], ensure_ascii=False), mimetype="application/json")
    if len(rows) > len(shown):
        following = query.model_dump(mode="json", exclude_unset=True) | {"after": place(shown[-1])}
        response.headers["Link"] = f'<{url}?{urlencode(following, doseq=True)}>; rel="next"'
    return response


def _stream(
    page: Callable[[Place, int], Sequence[T]],
    place: Callable[[T], Place],
    as_json: Callable[[T], dict[str, object]],
    rows: Sequence[T],
) -> Iterator[str]:
    separator = "["
    while rows:
        yield separator + ",\n".join(json.dumps(as_json(row), ensure_ascii=False) for row in rows)
        separator = ",\n"
        rows = page(place(rows[-1]), CHUNK) if len(rows) == CHUNK else []
    yield "]" if separator != "[" else "[]"
