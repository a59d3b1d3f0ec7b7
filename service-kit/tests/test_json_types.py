"""Times in requests: what JSON Schema calls a date-time (RFC 3339), and nothing else that pydantic would take."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError
from service_kit.json_types import TIME


class Moment(BaseModel):
    """A time."""

    at: Annotated[datetime, TIME]


def accepts(read: Callable[[], object]) -> bool:
    try:
        read()
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "2026-01-31t15:00:00.000+03:00", "2026-01-31T12:00:00-00:00"])
def test_a_time_of_rfc_3339_is_read(text: str) -> None:
    assert Moment.model_validate({"at": text}).at == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("1000", "+1000", "-1000", "1e9", " 1000", "1_000", "12.5", "٣", "", "NaN"),
        *("2026-01-31", "2026-01-31T12:00", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "20260131T120000Z"),
        *("2026-01-31T12:00:00 03:00", "2026-01-31T12:00:00+0300", "2026-01-31T12:00:00Z\n", " 2026-01-31T12:00:00Z"),
        *("2026-13-31T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-31T25:00:00Z", "２026-01-31T12:00:00Z"),
    ],
)
def test_what_rfc_3339_does_not_have_is_not_a_time(text: str) -> None:
    assert not accepts(lambda: Moment.model_validate({"at": text}))


@pytest.mark.parametrize("value", [1000, 12.5, True, None, ["2026-01-31T12:00:00Z"]])
def test_a_time_is_text(value: object) -> None:
    assert not accepts(lambda: Moment.model_validate({"at": value}))


def test_the_schema_names_the_format() -> None:
    assert Moment.model_json_schema()["properties"]["at"]["format"] == "date-time"
