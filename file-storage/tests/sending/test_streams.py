"""Bodies that break off because of an error while they are sent."""

from collections.abc import Iterator

import pytest
import structlog
from file_storage.sending.streams import until_broken
from file_storage.storage import StorageUnavailableError
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import DomainError
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Shield the tests from the logging configuration of other tests."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def breaking(pieces: list[bytes], error: Exception) -> Iterator[bytes]:
    yield from pieces
    raise error


@given(st.lists(st.binary(max_size=10), max_size=10))
def test_a_body_without_errors_is_unchanged(pieces: list[bytes]) -> None:
    assert list(until_broken(pieces)) == pieces


EXPECTED_ERRORS = [
    OSError("The disk is gone."),
    StorageUnavailableError("The bucket is gone."),
    DomainError("bytes-lost", "The bytes are gone."),
]


@pytest.mark.parametrize("error", EXPECTED_ERRORS, ids=lambda error: type(error).__name__)
def test_a_broken_body_ends_after_the_last_piece_that_was_read(error: Exception) -> None:
    with capture_logs():
        pieces = list(until_broken(breaking([b"one", b"two"], error)))

    assert pieces == [b"one", b"two"]


@pytest.mark.parametrize("error", EXPECTED_ERRORS, ids=lambda error: type(error).__name__)
def test_the_log_says_why_a_body_broke_off(error: Exception) -> None:
    with capture_logs() as events:
        list(until_broken(breaking([b"one"], error)))

    assert events == [{"event": "response broken off", "reason": str(error), "log_level": "error"}]


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        list(until_broken(breaking([b"one"], ZeroDivisionError())))


def test_no_piece_is_read_before_the_previous_piece_is_sent() -> None:
    left = iter([b"one", b"two", b"three"])

    first = next(until_broken(left))

    assert first == b"one"
    assert list(left) == [b"two", b"three"]
