"""The pages of a list."""

import pytest
from pixmill.client.exchange import Call, Reply, get
from pixmill.client.paging import following


@pytest.mark.parametrize("first", [get("/api/list?name=a&limit=2"), get("/api/list", [("name", "a"), ("limit", "2")])])
def test_the_next_page_is_asked_for_with_the_query_of_the_link_alone(first: Call) -> None:
    link = '</inner/list?name=a&limit=2&after=7>; rel="next"'

    page = following(first, Reply(200, {"link": link}, b"[]"))

    assert page is not None
    assert (page.path, page.query) == ("/api/list", [("name", "a"), ("limit", "2"), ("after", "7")])
