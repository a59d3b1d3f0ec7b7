"""Preconditions in the order of RFC 9110, 13.2.2, and If-Range (13.1.5)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from file_storage.headers.conditions import Verdict, range_applies, verdict
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

TAG, OTHER = '"b0a7"', '"c1d2"'
MODIFIED = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
"""The example time of RFC 9110, 5.6.7, which writes it in three formats."""

BEFORE, SAME, AFTER = (
    "Sun, 06 Nov 1994 08:49:36 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:38 GMT",
)

SEND, NOT_MODIFIED, FAILED = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED

seconds_away = st.integers(-(10**8), 10**8)


def request_with(headers: dict[str, str]) -> Request:
    return Request(EnvironBuilder(headers=Headers(headers)).get_environ())


def evaluate(headers: dict[str, str]) -> Verdict:
    return verdict(request_with(headers), TAG.strip('"'), MODIFIED)


def date(seconds: int) -> str:
    """Return the HTTP date this many seconds after the last change."""
    return format_datetime(MODIFIED + timedelta(seconds=seconds), usegmt=True)


def test_a_request_without_conditions_gets_the_file() -> None:
    assert evaluate({}) is SEND


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", SEND),
        (TAG, SEND),
        (f"{OTHER}, {TAG}", SEND),
        (f"{TAG},{OTHER}", SEND),
        (OTHER, FAILED),
        (f'{OTHER}, "b0a70"', FAILED),
        (f"W/{TAG}", FAILED),
        (f"W/{TAG}, {OTHER}", FAILED),
        ("", FAILED),
    ],
)
def test_if_match_allows_only_a_strong_match_of_a_tag(value: str, expected: Verdict) -> None:
    assert evaluate({"If-Match": value}) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", NOT_MODIFIED),
        (TAG, NOT_MODIFIED),
        (f"W/{TAG}", NOT_MODIFIED),
        (f"{OTHER}, {TAG}", NOT_MODIFIED),
        (f"{OTHER}, W/{TAG}", NOT_MODIFIED),
        (OTHER, SEND),
        (f"W/{OTHER}", SEND),
        ('"b0a"', SEND),
        ('"B0A7"', SEND),
    ],
)
def test_if_none_match_stops_a_weak_match_of_a_tag(value: str, expected: Verdict) -> None:
    assert evaluate({"If-None-Match": value}) is expected


@pytest.mark.parametrize(("value", "expected"), [(BEFORE, FAILED), (SAME, SEND), (AFTER, SEND)])
def test_if_unmodified_since_stops_a_file_that_is_a_second_newer(value: str, expected: Verdict) -> None:
    assert evaluate({"If-Unmodified-Since": value}) is expected


@pytest.mark.parametrize(("value", "expected"), [(BEFORE, SEND), (SAME, NOT_MODIFIED), (AFTER, NOT_MODIFIED)])
def test_if_modified_since_allows_a_file_that_is_a_second_newer(value: str, expected: Verdict) -> None:
    assert evaluate({"If-Modified-Since": value}) is expected


@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_dates_are_read_in_all_three_formats(value: str) -> None:
    assert evaluate({"If-Modified-Since": value}) is NOT_MODIFIED
    assert evaluate({"If-Unmodified-Since": value}) is SEND


@pytest.mark.parametrize("value", ["yesterday", "", "784111777", "Sun, 99 Nov 1994 08:49:37 GMT"])
@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_an_invalid_date_is_ignored(name: str, value: str) -> None:
    assert evaluate({name: value}) is SEND


@given(seconds_away)
def test_both_conditions_on_time_agree_about_which_file_is_newer(seconds: int) -> None:
    is_newer = seconds < 0

    assert evaluate({"If-Modified-Since": date(seconds)}) is (SEND if is_newer else NOT_MODIFIED)
    assert evaluate({"If-Unmodified-Since": date(seconds)}) is (FAILED if is_newer else SEND)


@given(value=st.sampled_from([TAG, OTHER, "*", f"W/{TAG}"]), seconds=seconds_away)
def test_if_unmodified_since_is_ignored_if_the_request_has_if_match(value: str, seconds: int) -> None:
    assert evaluate({"If-Match": value, "If-Unmodified-Since": date(seconds)}) is evaluate({"If-Match": value})


@given(value=st.sampled_from([TAG, OTHER, "*", f"W/{TAG}"]), seconds=seconds_away)
def test_if_modified_since_is_ignored_if_the_request_has_if_none_match(value: str, seconds: int) -> None:
    assert evaluate({"If-None-Match": value, "If-Modified-Since": date(seconds)}) is evaluate({"If-None-Match": value})


@pytest.mark.parametrize(
    ("expected", "headers"),
    [
        # Step 1 fails before steps 3 and 4 are evaluated.
        (FAILED, {"If-Match": OTHER, "If-None-Match": TAG}),
        (FAILED, {"If-Match": OTHER, "If-None-Match": OTHER}),
        (FAILED, {"If-Match": OTHER, "If-Modified-Since": SAME}),
        # So does step 2.
        (FAILED, {"If-Unmodified-Since": BEFORE, "If-None-Match": TAG}),
        (FAILED, {"If-Unmodified-Since": BEFORE, "If-Modified-Since": SAME}),
        # If steps 1 and 2 pass, step 3 decides.
        (NOT_MODIFIED, {"If-Match": TAG, "If-None-Match": TAG}),
        (SEND, {"If-Match": TAG, "If-None-Match": OTHER}),
        (NOT_MODIFIED, {"If-Unmodified-Since": SAME, "If-None-Match": TAG}),
        (SEND, {"If-Unmodified-Since": SAME, "If-None-Match": OTHER}),
        # Or step 4.
        (NOT_MODIFIED, {"If-Match": TAG, "If-Modified-Since": SAME}),
        (SEND, {"If-Match": TAG, "If-Modified-Since": BEFORE}),
        (NOT_MODIFIED, {"If-Unmodified-Since": SAME, "If-Modified-Since": SAME}),
        # With all four, both dates are ignored.
        (
            NOT_MODIFIED,
            {"If-Match": TAG, "If-Unmodified-Since": BEFORE, "If-None-Match": TAG, "If-Modified-Since": BEFORE},
        ),
        (SEND, {"If-Match": TAG, "If-Unmodified-Since": BEFORE, "If-None-Match": OTHER, "If-Modified-Since": AFTER}),
        (FAILED, {"If-Match": OTHER, "If-Unmodified-Since": AFTER, "If-None-Match": TAG, "If-Modified-Since": BEFORE}),
    ],
)
def test_several_conditions_are_evaluated_in_the_order_of_rfc_9110(expected: Verdict, headers: dict[str, str]) -> None:
    assert evaluate(headers) is expected


def test_each_verdict_has_the_status_of_rfc_9110() -> None:
    assert (SEND.value, NOT_MODIFIED.value, FAILED.value) == (200, 304, 412)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TAG, True),
        (OTHER, False),
        ('"b0a"', False),
        ('"B0A7"', False),
        (f"W/{TAG}", False),
        (f"W/{OTHER}", False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
        ("Sunday, 06-Nov-94 08:49:37 GMT", True),
        ("Sun Nov  6 08:49:37 1994", True),
        ("yesterday", False),
        ("", False),
    ],
)
def test_if_range_allows_the_range_for_the_same_tag_or_the_exact_date(value: str, expected: bool) -> None:
    assert range_applies(request_with({"If-Range": value}), TAG.strip('"'), MODIFIED) is expected


def test_a_range_applies_without_if_range() -> None:
    assert range_applies(request_with({"If-Match": OTHER}), TAG.strip('"'), MODIFIED)


@given(seconds_away.filter(bool))
def test_if_range_with_another_date_ignores_the_range(seconds: int) -> None:
    assert not range_applies(request_with({"If-Range": date(seconds)}), TAG.strip('"'), MODIFIED)


@pytest.mark.parametrize("value", [TAG, OTHER, f"W/{TAG}", SAME, BEFORE])
def test_if_range_does_not_decide_whether_the_file_is_sent(value: str) -> None:
    assert evaluate({"If-Range": value}) is SEND


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999999999999",
        "Sun, 06 Nov " + "9" * 5000 + " 08:49:37 GMT",
    ],
)
def test_a_date_that_cannot_be_sets_no_condition(value: str) -> None:
    assert evaluate({"If-Modified-Since": value}) is SEND
    assert evaluate({"If-Unmodified-Since": value}) is SEND
    assert not range_applies(request_with({"If-Range": value}), TAG.strip('"'), MODIFIED)
