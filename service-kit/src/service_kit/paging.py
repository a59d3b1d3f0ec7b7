"""Keyset pagination: pages by ``?after=`` and ``?limit=``, or the whole list as a stream; both in bounded memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import Response
from pydantic import Field

from service_kit.query import Query

ROWS_PER_READ = 250
"""Number of rows per read, unless they are small: the comment of a file has up to 40 KB; each thread reads a list."""
PIECE_BYTES = 256 * 1024
"""Size from which a piece of a stream is sent."""
PAGE_BYTES = 8 * 1024 * 1024
"""Size from which a page ends, because it is in memory until it is sent; 10,000 files without comments have half."""

Cursor = TypeVar("Cursor", int, str)
"""The key of the last row of the previous page."""


class PageQuery(Query, Generic[Cursor]):
    """The query parameters of a list."""

    limit: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="The maximum number of entries; a page of more than 8 MB ends earlier. The Link header has the next"
        " page's URL.",
    )
    after: Cursor


T = TypeVar("T")


def list_response(
    page: Callable[[Cursor, int], Sequence[T]],
    cursor: Callable[[T], Cursor],
    as_json: Callable[[T], dict[str, object]],
    query: PageQuery[Cursor],
    url: str,
    rows_per_read: int = ROWS_PER_READ,
) -> Response:
    """Return the rows as a JSON array, in the order of their cursors.

    A page of more than :data:`PAGE_BYTES` ends before its limit.

    :param page: returns at most ``limit`` rows after a cursor: ``page(after, limit)``.
    :param url: the list's own URL, for the ``Link`` header (RFC 8288).
    :param rows_per_read: maximum number of rows per read.
    """
    if query.limit is None:
        rows = begun(_read(page, cursor, query.after, rows_per_read))
        return Response(array_in_pieces(map(as_json, rows)), mimetype="application/json")
    rows = _read(page, cursor, query.after, rows_per_read, query.limit + 1)
    shown, size, last = list[bytes](), 0, list[T]()
    for row in islice(rows, query.limit):
        shown.append(_encoded(as_json(row)))
        size, last = size + len(shown[-1]), [row]
        if size >= PAGE_BYTES:
            break
    response = Response(b"[" + b", ".join(shown) + b"]", mimetype="application/json")
    if last and any(True for _ in rows):
        add_next_page(response, url, query, cursor(last[0]))
    return response


def add_next_page(response: Response, url: str, query: Query, after: int | str) -> None:
    """Add the URL of the next page of a list (RFC 8288).

    :param url: the list's own URL.
    :param query: the query of this page.
    :param after: the cursor of its last entry.
    """
    following = query.model_dump(mode="json", exclude_unset=True) | {"after": after}
    response.headers["Link"] = f'<{url}?{urlencode(following, doseq=True)}>; rel="next"'


def begun(rows: Iterator[T]) -> Iterator[T]:
    """Read the first rows now: once the response has begun, its status cannot report a database error."""
    return chain(list(islice(rows, 1)), rows)


def array_in_pieces(values: Iterable[Mapping[str, object]]) -> Iterator[bytes]:
    """Yield a JSON array in pieces, each little longer than :data:`PIECE_BYTES` at most."""
    piece, separator = bytearray(b"["), b""
    for value in values:
        piece += separator + _encoded(value)
        separator = b",\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece) + b"]"


def _read(
    page: Callable[[Cursor, int], Sequence[T]],
    cursor: Callable[[T], Cursor],
    after: Cursor,
    rows_per_read: int,
    limit: int | None = None,
) -> Iterator[T]:
    """Yield at most ``limit`` rows, or all; read ``rows_per_read`` on demand."""
    left = limit
    while left is None or left > 0:
        wanted = rows_per_read if left is None else min(left, rows_per_read)
        rows = page(after, wanted)
        yield from rows
        if len(rows) < wanted:
            return
        after = cursor(rows[-1])
        left = None if left is None else left - wanted


def _encoded(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
