"""Keyset pagination: pages with links, or the whole list as a stream."""

import json
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from service_kit import paging
from service_kit.paging import PIECE_BYTES, ROWS_PER_READ, PageQuery, array_in_pieces, list_response
from service_kit.problems import Problem

URL = "/api/things/"


class Things(PageQuery[int]):
    """The query parameters of a list of numbers."""

    after: int = 0
    kind: list[str] = Field(default_factory=list)
    sort: str = "id"


class Names(PageQuery[str]):
    """The query parameters of a list of words."""

    after: str = ""


class Rows:
    """A table of numbers that records each query."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = sorted(numbers)
        self.queries: list[tuple[int, int]] = []

    def page(self, after: int, limit: int) -> Sequence[int]:
        self.queries.append((after, limit))
        return [number for number in self._numbers if number > after][:limit]


def as_json(number: int) -> dict[str, object]:
    return {"number": number}


def cursor(number: int) -> int:
    return number


def answer(rows: Rows, query: Things) -> Response:
    return list_response(rows.page, cursor, as_json, query, URL)


def numbers_in(response: Response) -> list[int]:
    return [item["number"] for item in json.loads(response.get_data())]


def next_url(response: Response) -> str | None:
    """Return the target of the Link header (RFC 8288, 3)."""
    link = response.headers.get("Link")
    if link is None:
        return None
    target, _, relation = link.partition(">; ")
    assert (target[0], relation) == ("<", 'rel="next"')
    return target[1:]


def next_query(response: Response) -> dict[str, list[str]]:
    url = next_url(response)
    assert url
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


@pytest.mark.parametrize(
    "count", [0, 1, ROWS_PER_READ - 1, ROWS_PER_READ, ROWS_PER_READ + 1, 2 * ROWS_PER_READ, 2 * ROWS_PER_READ + 1]
)
def test_without_a_limit_all_rows_come_once_and_in_order(count: int) -> None:
    response = answer(Rows(range(1, count + 1)), Things(limit=None))

    assert numbers_in(response) == list(range(1, count + 1))


def test_a_list_is_a_json_array() -> None:
    response = answer(Rows([1]), Things(limit=None))

    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert json.loads(response.get_data()) == [{"number": 1}]


@pytest.mark.parametrize("query", [Things(limit=None), Things(limit=5)])
def test_an_empty_list_is_an_empty_array(query: Things) -> None:
    response = answer(Rows([]), query)

    assert json.loads(response.get_data()) == []
    assert next_url(response) is None


def test_without_a_limit_there_is_no_next_page() -> None:
    assert next_url(answer(Rows(range(1, 3 * ROWS_PER_READ)), Things(limit=None))) is None


def test_a_stream_begins_after_the_given_cursor() -> None:
    assert numbers_in(answer(Rows(range(1, 10)), Things(limit=None, after=7))) == [8, 9]


def test_a_stream_never_holds_more_than_a_chunk() -> None:
    rows = Rows(range(1, 2 * ROWS_PER_READ + 2))

    answer(rows, Things(limit=None)).get_data()

    assert rows.queries == [(0, ROWS_PER_READ), (ROWS_PER_READ, ROWS_PER_READ), (2 * ROWS_PER_READ, ROWS_PER_READ)]


def test_a_stream_reads_its_first_rows_before_the_response_begins() -> None:
    def failing(after: int, limit: int) -> Sequence[int]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list_response(failing, cursor, as_json, Things(limit=None), URL)


def test_a_stream_reads_further_rows_only_when_they_are_sent() -> None:
    rows = Rows(range(1, 2 * ROWS_PER_READ))

    answer(rows, Things(limit=None))

    assert len(rows.queries) == 1


@pytest.mark.parametrize(("count", "has_next"), [(4, False), (5, False), (6, True)])
def test_a_page_links_to_the_next_page_if_there_is_one(count: int, has_next: bool) -> None:
    response = answer(Rows(range(1, count + 1)), Things(limit=5))

    assert numbers_in(response) == list(range(1, min(count, 5) + 1))
    assert (next_url(response) is not None) == has_next


def test_the_next_page_begins_after_the_last_row() -> None:
    response = answer(Rows([3, 5, 8, 13]), Things(limit=3, after=1))

    assert next_url(response) == f"{URL}?limit=3&after=8"


@pytest.mark.slow
@given(numbers=st.sets(st.integers(1, 200), max_size=60), limit=st.integers(1, 70))
def test_the_pages_together_have_every_row_once_and_in_order(numbers: set[int], limit: int) -> None:
    rows, query, found = Rows(sorted(numbers)), Things(limit=limit), list[int]()

    while True:
        response = answer(rows, query)
        found += numbers_in(response)
        if next_url(response) is None:
            break
        query = Things.model_validate({name: values[0] for name, values in next_query(response).items()})

    assert found == sorted(numbers)


def test_the_next_page_has_the_same_filters() -> None:
    response = answer(Rows(range(1, 9)), Things(limit=5, kind=["a&b", "ц="]))

    assert next_query(response) == {"limit": ["5"], "after": ["5"], "kind": ["a&b", "ц="]}


def test_an_unset_filter_is_not_in_the_link_to_the_next_page() -> None:
    assert next_query(answer(Rows(range(1, 9)), Things(limit=5))).keys() == {"limit", "after"}


def test_a_cursor_of_text_survives_the_url() -> None:
    words = ["a&b=c", "d>e f", "ж"]

    def page(after: str, limit: int) -> Sequence[str]:
        return [word for word in words if word > after][:limit]

    response = list_response(page, str, lambda word: {"word": word}, Names(limit=2), URL)

    assert next_query(response) == {"limit": ["2"], "after": ["d>e f"]}


@pytest.mark.parametrize("query", [Names(limit=None), Names(limit=5)])
def test_text_is_sent_as_utf_8(query: Names) -> None:
    def page(after: str, limit: int) -> Sequence[str]:
        return ["снимок"] if after == "" else []

    response = list_response(page, str, lambda word: {"word": word}, query, URL)

    assert response.get_data() == '[{"word": "снимок"}]'.encode()


@pytest.mark.parametrize("limit", ["1", "10000"])
def test_the_smallest_and_the_largest_limit_are_allowed(limit: str) -> None:
    assert Things.model_validate({"limit": limit}).limit == int(limit)


@pytest.mark.parametrize("limit", ["0", "10001", "-1", "all"])
def test_another_limit_is_refused(limit: str) -> None:
    with pytest.raises(Problem) as raised:
        Things.model_validate({"limit": limit})

    assert [error["pointer"] for error in raised.value.errors] == ["/limit"]


def test_a_page_that_would_be_too_long_ends_early_and_links_to_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES", 50)
    rows = Rows(range(1, 8))

    response = answer(rows, Things(limit=6))

    # Each is an object like {"number": 1}, of 13 bytes.
    assert numbers_in(response) == [1, 2, 3, 4]
    assert next_query(response) == {"limit": ["6"], "after": ["4"]}
    assert numbers_in(answer(rows, Things(limit=6, after=4))) == [5, 6, 7]


def test_a_long_page_is_read_in_parts() -> None:
    rows = Rows(range(1, 10_000))

    response = answer(rows, Things(limit=2 * ROWS_PER_READ))

    assert numbers_in(response) == list(range(1, 2 * ROWS_PER_READ + 1))
    assert next_query(response)["after"] == [str(2 * ROWS_PER_READ)]
    # The last query finds out whether there is another page.
    assert rows.queries == [(0, ROWS_PER_READ), (ROWS_PER_READ, ROWS_PER_READ), (2 * ROWS_PER_READ, 1)]


def test_a_page_has_a_length_and_a_stream_has_none() -> None:
    lengths = [answer(Rows(range(9)), Things(limit=limit)).headers.get("Content-Length") for limit in (2, None)]

    assert lengths == [str(len('[{"number": 1}, {"number": 2}]')), None]


def test_the_pieces_of_a_stream_are_bounded_in_bytes_and_not_in_rows() -> None:
    long = {"comment": "\N{GRINNING FACE}" * 10_000}

    pieces = list(array_in_pieces([long] * 30))

    assert json.loads(b"".join(pieces)) == [long] * 30
    assert len(pieces) > 1
    assert max(map(len, pieces)) < PIECE_BYTES + 50_000
