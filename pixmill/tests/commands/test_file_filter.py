"""Parsing of file filters from the shell."""

from datetime import UTC, datetime, timedelta

import pytest
from pixmill.client.files import FileFilter
from pixmill.commands.file_filter import file_filter


def test_conditions_have_the_names_of_the_api() -> None:
    wanted = file_filter(["folder=holiday", "q=sun=set", "batch_id=7", "size_min=1MB", "sort=-size"])

    assert wanted == FileFilter(folder="holiday", q="sun=set", batch_id=7, size_min=10**6, sort="-size")


@pytest.mark.parametrize("name", ["extension", "media_type"])
def test_of_several_values_any_matches(name: str) -> None:
    assert file_filter([f"{name}=a", f"{name}=b"]).conditions() == {name: ["a", "b"]}


def test_a_time_is_one_of_the_calendar_or_so_long_ago() -> None:
    wanted = file_filter(["created_before=2026-07-01", "created_after=7d"])

    assert wanted.created_before == datetime.fromisoformat("2026-07-01")
    assert wanted.created_after is not None
    assert datetime.now(UTC) - wanted.created_after < timedelta(days=7, hours=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["folder"], "'folder' is not a filter"),
        (["folder="], "is not a filter"),
        (["color=red"], "with one of name, q, extension"),
        (["folder=a", "folder=b"], "folder takes one value"),
        (["batch_id=last"], "batch_id is a number"),
        (["size_min=big"], "is not a size"),
        (["taken_after=summer"], "is not a time"),
    ],
)
def test_what_is_not_a_condition_is_an_error_that_says_why(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        file_filter(words)
