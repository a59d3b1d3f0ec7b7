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
"""The moment that RFC 9110, 5.6.7 writes in three ways."""

BEFORE, SAME, AFTER = (
    "Sun, 06 Nov 1994 08:49:36 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:38 GMT",
)

SEND, NOT_MODIFIED, FAILED = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED

seconds_away = st.integers(-(10**8), 10**8)


def asked(headers: dict[str, str]) -> Request:
    return Request(EnvironBuilder(headers=Headers(headers)).get_environ())


def judged(headers: dict[str, str]) -> Verdict:
    return verdict(asked(headers), TAG.strip('"'), MODIFIED)


def date(seconds: int) -> str:
    """The HTTP date that lies so far from the moment of the last change."""
    return format_datetime(MODIFIED + timedelta(seconds=seconds), usegmt=True)


def test_a_request_without_conditions_is_answered() -> None:
    assert judged({}) is SEND


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
def test_if_match_lets_through_what_is_strongly_equal_to_one_of_its_tags(value: str, expected: Verdict) -> None:
    assert judged({"If-Match": value}) is expected


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
def test_if_none_match_stops_what_is_weakly_equal_to_one_of_its_tags(value: str, expected: Verdict) -> None:
    assert judged({"If-None-Match": value}) is expected


@pytest.mark.parametrize(("value", "expected"), [(BEFORE, FAILED), (SAME, SEND), (AFTER, SEND)])
def test_if_unmodified_since_stops_what_is_a_second_younger(value: str, expected: Verdict) -> None:
    assert judged({"If-Unmodified-Since": value}) is expected


@pytest.mark.parametrize(("value", "expected"), [(BEFORE, SEND), (SAME, NOT_MODIFIED), (AFTER, NOT_MODIFIED)])
def test_if_modified_since_lets_through_what_is_a_second_younger(value: str, expected: Verdict) -> None:
    assert judged({"If-Modified-Since": value}) is expected


@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_a_date_is_read_in_each_of_the_three_forms(value: str) -> None:
    assert judged({"If-Modified-Since": value}) is NOT_MODIFIED
    assert judged({"If-Unmodified-Since": value}) is SEND


@pytest.mark.parametrize("value", ["yesterday", "", "784111777", "Sun, 99 Nov 1994 08:49:37 GMT"])
@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_a_date_that_is_none_is_ignored(name: str, value: str) -> None:
    assert judged({name: value}) is SEND


@given(seconds_away)
def test_the_two_conditions_on_time_agree_about_what_is_younger(seconds: int) -> None:
    is_younger = seconds < 0

    assert judged({"If-Modified-Since": date(seconds)}) is (SEND if is_younger else NOT_MODIFIED)
    assert judged({"If-Unmodified-Since": date(seconds)}) is (FAILED if is_younger else SEND)


@given(value=st.sampled_from([TAG, OTHER, "*", f"W/{TAG}"]), seconds=seconds_away)
def test_the_date_of_if_unmodified_since_is_ignored_where_if_match_is_sent(value: str, seconds: int) -> None:
    assert judged({"If-Match": value, "If-Unmodified-Since": date(seconds)}) is judged({"If-Match": value})


@given(value=st.sampled_from([TAG, OTHER, "*", f"W/{TAG}"]), seconds=seconds_away)
def test_the_date_of_if_modified_since_is_ignored_where_if_none_match_is_sent(value: str, seconds: int) -> None:
    assert judged({"If-None-Match": value, "If-Modified-Since": date(seconds)}) is judged({"If-None-Match": value})


@pytest.mark.parametrize(
    ("expected", "headers"),
    [
        # Step 1 fails before steps 3 and 4 are looked at.
        (FAILED, {"If-Match": OTHER, "If-None-Match": TAG}),
        (FAILED, {"If-Match": OTHER, "If-None-Match": OTHER}),
        (FAILED, {"If-Match": OTHER, "If-Modified-Since": SAME}),
        # So does step 2.
        (FAILED, {"If-Unmodified-Since": BEFORE, "If-None-Match": TAG}),
        (FAILED, {"If-Unmodified-Since": BEFORE, "If-Modified-Since": SAME}),
        # Where steps 1 and 2 let through, step 3 decides.
        (NOT_MODIFIED, {"If-Match": TAG, "If-None-Match": TAG}),
        (SEND, {"If-Match": TAG, "If-None-Match": OTHER}),
        (NOT_MODIFIED, {"If-Unmodified-Since": SAME, "If-None-Match": TAG}),
        (SEND, {"If-Unmodified-Since": SAME, "If-None-Match": OTHER}),
        # Or step 4.
        (NOT_MODIFIED, {"If-Match": TAG, "If-Modified-Since": SAME}),
        (SEND, {"If-Match": TAG, "If-Modified-Since": BEFORE}),
        (NOT_MODIFIED, {"If-Unmodified-Since": SAME, "If-Modified-Since": SAME}),
        # With all four, the two dates say nothing.
        (
            NOT_MODIFIED,
            {"If-Match": TAG, "If-Unmodified-Since": BEFORE, "If-None-Match": TAG, "If-Modified-Since": BEFORE},
        ),
        (SEND, {"If-Match": TAG, "If-Unmodified-Since": BEFORE, "If-None-Match": OTHER, "If-Modified-Since": AFTER}),
        (FAILED, {"If-Match": OTHER, "If-Unmodified-Since": AFTER, "If-None-Match": TAG, "If-Modified-Since": BEFORE}),
    ],
)
def test_several_conditions_are_judged_in_the_order_of_rfc_9110(expected: Verdict, headers: dict[str, str]) -> None:
    assert judged(headers) is expected


def test_each_verdict_is_the_status_that_rfc_9110_gives_it() -> None:
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
def test_if_range_lets_the_range_count_for_the_same_tag_or_the_exact_date(value: str, expected: bool) -> None:
    assert range_applies(asked({"If-Range": value}), TAG.strip('"'), MODIFIED) is expected


def test_a_range_counts_where_nothing_is_said_about_it() -> None:
    assert range_applies(asked({"If-Match": OTHER}), TAG.strip('"'), MODIFIED)


@given(seconds_away.filter(bool))
def test_no_other_date_lets_the_range_count(seconds: int) -> None:
    assert not range_applies(asked({"If-Range": date(seconds)}), TAG.strip('"'), MODIFIED)


@pytest.mark.parametrize("value", [TAG, OTHER, f"W/{TAG}", SAME, BEFORE])
def test_if_range_has_no_say_about_whether_the_file_is_sent(value: str) -> None:
    assert judged({"If-Range": value}) is SEND
