"""Lists by key: pages through ``?after=`` and ``?limit=``, or everything as one stream of constant memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from service_kit.database import MAX_ID

CHUNK = 1000


class PageQuery(BaseModel):
    """The query of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int | None = Field(None, ge=1, le=10_000, description="At most so many, with a Link to the next page.")
    after: int = Field(0, ge=0, le=MAX_ID, description="Only those whose id is greater.")


class Row(Protocol):
    """What is listed has an id, by which the list is ordered."""

    @property
    def id(self) -> int: ...


T = TypeVar("T", bound=Row)


def list_response(
    page: Callable[[int, int], Sequence[T]], as_json: Callable[[T], dict[str, object]], query: PageQuery, url: str
) -> Response:
    """The JSON array of the rows, ordered by id.

    :param page: gives at most ``limit`` rows whose id is greater than ``after``: ``page(after, limit)``.
    :param url: the list's own URL, for the ``Link`` header (RFC 8288).
    """
    if query.limit is None:
        # The first rows now: once an answer has begun, its status cannot tell any more that the database is away.
        return Response(_stream(page, as_json, page(query.after, CHUNK)), mimetype="application/json")
    rows = page(query.after, query.limit + 1)
    shown = rows[: query.limit]
    response = Response(json.dumps([as_json(row) for row in shown], ensure_ascii=False), mimetype="application/json")
    if len(rows) > len(shown):
        following = query.model_dump(exclude_none=True) | {"after": shown[-1].id}
        response.headers["Link"] = f'<{url}?{urlencode(following, doseq=True)}>; rel="next"'
    return response


def _stream(
    page: Callable[[int, int], Sequence[T]], as_json: Callable[[T], dict[str, object]], rows: Sequence[T]
) -> Iterator[str]:
    separator = "["
    while rows:
        yield separator + ",\n".join(json.dumps(as_json(row), ensure_ascii=False) for row in rows)
        separator = ",\n"
        rows = page(rows[-1].id, CHUNK) if len(rows) == CHUNK else []
    yield "]" if separator != "[" else "[]"
