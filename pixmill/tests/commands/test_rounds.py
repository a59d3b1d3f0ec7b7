"""Pauses between rounds: they grow while the server has no room."""

import pytest
from pixmill.client.problems import ConflictError, StorageFullError
from pixmill.commands.rounds import Pauses

FULL = StorageFullError(507, "urn:pixmill:problem:quota-exceeded")
LOCKED = ConflictError(423, "urn:pixmill:problem:locked")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds of each pause, which takes no time."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr("random.uniform", lambda _least, _most: 1.0)
    return waits


@pytest.mark.parametrize(
    ("seconds", "expected"), [(2, [2, 4, 8, 16, 32, 60, 60]), (0.5, [0.5, 1, 2, 4, 8, 16, 32]), (300, [300] * 7)]
)
def test_pauses_grow_to_a_minute_while_there_is_no_room(
    waits: list[float], seconds: float, expected: list[float]
) -> None:
    pauses = Pauses(seconds)

    for _ in range(7):
        for outcome in (None, FULL, LOCKED):
            pauses.note(outcome)
        pauses.wait()

    assert waits == expected


def test_a_round_with_room_ends_the_long_pauses(waits: list[float]) -> None:
    pauses = Pauses(2)

    for outcome in (FULL, FULL, None, LOCKED, FULL):
        pauses.note(outcome)
        pauses.wait()

    assert waits == [2, 4, 2, 2, 2]


@pytest.mark.parametrize("jitter", [0.75, 1.25])
@pytest.mark.parametrize("seconds", [2, 300])
def test_no_pause_is_shorter_than_without_a_refusal_or_longer_than_a_minute(
    waits: list[float], monkeypatch: pytest.MonkeyPatch, seconds: float, jitter: float
) -> None:
    monkeypatch.setattr("random.uniform", lambda _least, _most: jitter)
    pauses = Pauses(seconds)

    for _ in range(7):
        pauses.note(FULL)
        pauses.wait()

    assert min(waits) >= seconds
    assert max(waits) <= max(seconds, 60)
