"""Errors of pydantic in the language of the client: also the reasons within its sentences."""

import re
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError
from pydantic.config import JsonDict
from service_kit.field_errors import invalid_fields
from service_kit.languages import translated

MOMENT, URL = "2026-01-31T12:30:45.123456+01:30", "https://user@example.com:8080/a?b#c"


class Fields(BaseModel):
    """Fields whose errors contain reasons or numbers."""

    time: datetime | None = None
    url: HttpUrl | None = None
    text: str = Field("abc", min_length=2, max_length=3)
    items: list[int] = Field([1, 2], min_length=2, max_length=21)


def refusal(**values: object) -> tuple[str, str]:
    """Return the detail of the first invalid field in English and in Russian."""
    with pytest.raises(ValidationError) as refused:
        Fields.model_validate(values)
    return details(refused.value, values)


def details(error: ValidationError, values: object) -> tuple[str, str]:
    detail = invalid_fields(error, values).errors[0]["detail"]
    return detail, translated(detail, "ru")


def english_in(text: str) -> list[str]:
    """Return the English words; URL, IPv4, Unicode and the like are Russian, too."""
    return re.findall(r"\b[a-z]{2,}\b", text.replace("http", ""))


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("foo", "input is too short"),
        ("-026-01-31T12:30:45", "invalid character in year"),
        ("2026--01-31T12:30", "invalid character in month"),
        ("2026-01--31T12:30", "invalid character in day"),
        ("02026-01-31T12:30", "invalid date separator"),
        ("2026-13-01", "month value"),
        ("2026-02-30T00:00:00Z", "day value"),
        ("2026-01-01T99:00:00Z", "unexpected extra characters"),
        ("0000-01-01T00:00:00Z", "year 0"),
        ("-99999999999999", "dates before 0000"),
        (1e30, "dates after 9999"),
        (float("nan"), "NaN"),
        ([], "valid datetime"),
    ],
)
def test_the_reason_against_a_time_is_translated(time: object, reason: str) -> None:
    english, russian = refusal(time=time)

    assert reason in english
    assert english_in(russian) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("foo", "relative URL without a base"),
        ("", "input is empty"),
        ("http://", "empty host"),
        ("http://a:99999/", "invalid port number"),
        ("http://1.2.3.999/", "invalid IPv4 address"),
        ("http://[::1", "invalid IPv6 address"),
        ("http://a b/", "invalid international domain name"),
        ("ht\t://user:pw@>mple.com2080/", "invalid domain character"),
        ("ftp://a", "URL scheme"),
        ("http://" + "a" * 3000, "2083 characters"),
        (5, "URL input"),
    ],
)
def test_the_reason_against_a_url_is_translated(url: object, reason: str) -> None:
    english, russian = refusal(url=url)

    assert reason in english
    assert english_in(russian) == []


def changed(text: str) -> st.SearchStrategy[str]:
    """Return strategies that replace a part of a text."""
    parts = st.tuples(
        st.integers(0, len(text)), st.integers(0, 3), st.text("0123456789-:.+ TZ[]@/\\?#%<\0é", max_size=3)
    )
    return parts.map(lambda part: text[: part[0]] + part[2] + text[part[0] + part[1] :])


@given(time=changed(MOMENT), url=changed(URL))
def test_no_damage_of_a_time_or_url_has_a_reason_in_english(time: str, url: str) -> None:
    for values in ({"time": time}, {"url": url}):
        try:
            Fields.model_validate(values)
        except ValidationError as error:
            assert english_in(details(error, values)[1]) == []


def test_a_string_that_is_not_unicode_is_refused_in_russian() -> None:
    assert english_in(refusal(text="\ud800")[1]) == []


@pytest.mark.parametrize(
    ("values", "russian"),
    [
        ({"text": "a"}, "Нужна строка не короче 2 знаков"),
        ({"text": "abcd"}, "Нужна строка не длиннее 3 знаков"),
        ({"items": [1]}, "В списке должно быть не меньше 2 значений, а их 1"),
        ({"items": [1] * 22}, "В списке может быть не больше 21 значения"),
    ],
)
def test_the_noun_after_a_limit_has_its_form(values: dict[str, object], russian: str) -> None:
    assert refusal(**values)[1] == russian


class State(StrEnum):
    """An enumeration whose names differ from its values."""

    OPEN = "is open"
    SHUT = "is shut"


class Level(IntEnum):
    """An enumeration of numbers."""

    LOW = -1
    HIGH = 1


class Plain(Enum):
    """An enumeration without a base."""

    ONE = "one"


class Choices(BaseModel):
    """Fields that allow members of enumerations, or lists of them."""

    state: State | None = None
    literal: Literal[State.OPEN, State.SHUT] | None = None
    level: Literal[Level.LOW, Level.HIGH] | None = None
    plain: Literal[Plain.ONE] | None = None
    some: Literal[State.OPEN, State.SHUT] | Annotated[list[Literal[State.OPEN]], Field(min_length=1)] | None = None
    text_or_number: str | int | None = None


def errors_of(**values: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        Choices.model_validate(values)
    return [(error["pointer"], error["detail"]) for error in invalid_fields(refused.value, values).errors]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("state", "'is open' or 'is shut'"),
        ("literal", "'is open' or 'is shut'"),
        ("level", "-1 or 1"),
        ("plain", "'one'"),
    ],
)
def test_an_allowed_member_of_an_enumeration_is_its_value(field: str, expected: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Choices.model_validate({field: "zz"})

    error = invalid_fields(refused.value, {field: "zz"}).errors[0]

    assert error["detail"] == f"Input should be {expected}"
    assert error["context"] == {"expected": expected}
    assert translated(error["detail"], "ru") == f"Допустимые значения: {expected.replace(' or ', ' или ')}"


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ("zz", [("/some", "Input should be 'is open' or 'is shut'")]),
        (5, [("/some", "Input should be 'is open' or 'is shut'")]),
        ({}, [("/some", "Input should be 'is open' or 'is shut'")]),
        ([], [("/some", "List should have at least 1 item after validation, not 0")]),
        (["zz", "is open", 5], [("/some/0", "Input should be 'is open'"), ("/some/2", "Input should be 'is open'")]),
    ],
)
def test_a_value_or_a_list_has_only_the_errors_of_what_was_sent(value: object, errors: list[tuple[str, str]]) -> None:
    assert errors_of(some=value) == errors


def test_a_value_that_suits_no_member_of_a_union_has_the_errors_of_all() -> None:
    assert len(errors_of(text_or_number=[])) == 2


def hide_secret(schema: JsonDict) -> None:
    """Remove a field from the schema."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    del properties["secret"]


class Strict(BaseModel):
    """A model with a field that its schema does not show."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=hide_secret)

    shown: int = 0
    secret: int = 0


def test_the_known_fields_are_those_of_the_schema() -> None:
    with pytest.raises(ValidationError) as refused:
        Strict.model_validate({"other": 1})

    error = invalid_fields(refused.value, {"other": 1}, model=Strict).errors[0]

    assert error["detail"] == "Unknown field; the fields are: shown"
