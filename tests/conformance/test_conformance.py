"""The facts in the folder next to the project hold, except for the listed exceptions with their reasons."""

import pytest

from tests.conformance.entries import Entry, entries
from tests.conformance.exceptions import reason
from tests.conformance.folder import files
from tests.conformance.judging import judged

ENTRIES = [entry for path in files() for entry in entries(path)]


@pytest.mark.parametrize("peer", ["thumbor", "imagor", "imgproxy", "imgproxy-pro", "pixels"])
def test_what_a_peer_s_urls_mean(peer: str) -> None:
    chosen = [entry for entry in ENTRIES if getattr(entry, "peer", "pixels") == peer and reason(entry) is None]
    wrong = [f"{entry.title}: {found}" for entry in chosen if (found := judged(entry)) is not None]

    assert chosen
    assert not wrong, "\n".join(wrong)


def test_an_exception_does_not_hold() -> None:
    excused: list[Entry] = [entry for entry in ENTRIES if reason(entry) is not None]

    assert excused
    assert not [entry.title for entry in excused if judged(entry) is None], (
        "an exception that holds must leave the list"
    )
