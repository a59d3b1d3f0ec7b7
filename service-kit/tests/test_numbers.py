"""Numbers of clients are digits and nothing else, and fit into the database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_kit.database import MAX_ID
from service_kit.numbers import whole_number


@given(st.integers(0, MAX_ID))
def test_a_number_is_read(number: int) -> None:
    assert whole_number(str(number)) == number


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", " 1", "1 ", "1\n", "1_0", "1.0", "1e3", "\u0663", "\u00b2", str(MAX_ID + 1), "9" * 5000, "0" * 20],
)
def test_anything_else_is_refused(text: str) -> None:
    assert whole_number(text) is None
