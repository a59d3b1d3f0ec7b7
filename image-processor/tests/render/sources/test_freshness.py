"""How long what an origin sends may be used, against RFC 9111."""

from collections.abc import Mapping

import pytest
from image_processor.render.sources.freshness import Freshness, freshness_of

NOW = 1000.0
DAY = 86_400
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
IN_A_MINUTE = "Sun, 06 Nov 1994 08:50:37 GMT"


@pytest.mark.parametrize(
    ("headers", "ours", "clients"),
    [
        ({}, DAY, DAY),
        ({"cache-control": "max-age=60"}, 60, 60),
        ({"cache-control": 'public, MAX-AGE="60"'}, 60, 60),
        ({"cache-control": "max-age=60", "age": "20"}, 40, 40),
        ({"cache-control": "max-age=60", "age": "90"}, 0, 0),
        ({"cache-control": "max-age=60", "age": "?"}, 60, 60),
        # We keep for many clients, who keep for themselves.
        ({"cache-control": "max-age=60, s-maxage=300", "age": "20"}, 280, 40),
        ({"cache-control": "s-maxage=300"}, 300, 300),
        ({"cache-control": "s-maxage=0, max-age=60"}, 0, 60),
        # The setting limits us, not its clients.
        ({"cache-control": "max-age=31536000"}, DAY, 31_536_000),
        ({"cache-control": "max-age=99999999999"}, DAY, 10**9),
        # Of several the first counts; a wrong number means stale (RFC 9111, 4.2.1).
        ({"cache-control": "max-age=60, max-age=90"}, 60, 60),
        ({"cache-control": "max-age=soon"}, 0, 0),
        ({"cache-control": "no-cache, max-age=60"}, 0, 0),
        ({"cache-control": "max-age=60", "date": DATE, "expires": DATE}, 60, 60),
        ({"date": DATE, "expires": IN_A_MINUTE}, 60, 60),
        ({"date": DATE, "expires": IN_A_MINUTE, "age": "20"}, 40, 40),
        ({"date": IN_A_MINUTE, "expires": DATE}, 0, 0),
        ({"expires": DATE}, 0, 0),
        ({"expires": "0"}, 0, 0),
    ],
)
def test_a_response_is_fresh_as_long_as_its_origin_says(
    headers: Mapping[str, str], ours: float, clients: float
) -> None:
    assert freshness_of(headers, NOW, DAY) == Freshness(NOW + ours, NOW + clients)


@pytest.mark.parametrize(
    ("control", "is_private", "is_stored"),
    [
        ("private", True, True),
        ('private="Set-Cookie", max-age=60', True, True),
        ("No-Store", False, False),
        ("private, no-store", True, False),
        # Another directive whose name or value contains these words.
        ("x-private, x=no-store", False, True),
    ],
)
def test_a_cache_that_clients_share_keeps_nothing_private(control: str, is_private: bool, is_stored: bool) -> None:
    found = freshness_of({"cache-control": control}, NOW, DAY)

    assert (found.is_private, found.is_stored) == (is_private, is_stored)
    assert found.is_kept == (is_stored and not is_private)


def test_what_is_made_from_two_responses_has_the_limits_of_both() -> None:
    first, second = Freshness(10, 40, is_private=True), Freshness(20, 30, is_stored=False)

    assert first.joined(second) == Freshness(10, 30, is_private=True, is_stored=False)
