"""Files that come, share their bytes and go while processes die, and ``gc`` and ``fsck`` run beside them."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from tests.faults.breakage import kill_file_storage, kill_postgres
from tests.faults.hands import Hand
from tests.support.client import FILES, Pixmill
from tests.support.processes import children_of
from tests.support.stacks import FullStack

pytestmark = pytest.mark.thorough

SECONDS = 40
HANDS = 8
YOUNG_SECONDS = 15
"""Bytes that were written later may belong to a request that waits for a process or the database to come back."""


def kill_child(stack: FullStack, chance: random.Random) -> None:
    """SIGKILL to one of file-storage's processes, which its master replaces."""
    children = children_of(stack.file_storage.popen.pid)
    with suppress(ProcessLookupError):
        os.kill(chance.choice(children), signal.SIGKILL)


def reload(stack: FullStack, _chance: random.Random) -> None:
    """What an operator does for new settings."""
    stack.file_storage.popen.send_signal(signal.SIGHUP)


BREAKAGES = (kill_child, reload, kill_file_storage, kill_postgres)


def told_by_maintenance(stack: FullStack) -> Iterator[dict[str, object]]:
    """The lines of ``gc`` and ``fsck``, run as an operator does."""
    for name in ("gc", "fsck"):
        yield from map(json.loads, stack.maintain(name, YOUNG_SECONDS).stderr.splitlines())


def not_as_promised(stack: FullStack, hands: Sequence[Hand]) -> list[str]:
    """What of that which the hands were told is not so."""
    wrong = []
    with Pixmill(stack.url) as pixmill:
        listed = {file["id"] for file in pixmill.http.get(f"{FILES}/").json()}
        for hand in hands:
            for file_id, content in hand.files.items():
                response = pixmill.http.get(f"{FILES}/{file_id}/download")
                if (response.status_code, response.content) != (200, content):
                    wrong.append(f"file {file_id}: {response.status_code}, {len(response.content)} bytes")
            wrong += [f"file {file_id} was deleted" for file_id in hand.deleted & listed]
    return wrong


@pytest.mark.timeout(SECONDS + 600)
def test_what_was_answered_stays_true_whatever_dies_and_whatever_is_cleaned_up(stack: FullStack) -> None:
    chance = random.Random(1)
    hands = [Hand(stack, f"hand-{number}") for number in range(HANDS)]
    told: list[dict[str, object]] = []
    for hand in hands:
        hand.start()

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        chance.choice(BREAKAGES)(stack, chance)
        told += told_by_maintenance(stack)
    stack.await_ready()
    for hand in hands:
        hand.stop()

    assert sum(len(hand.files) + len(hand.deleted) for hand in hands) > SECONDS
    assert [wrong for hand in hands for wrong in hand.wrong] == []
    assert not_as_promised(stack, hands) == []
    assert {line["event"] for line in told} >= {"files checked", "garbage collected"}
    assert [line for line in told if line["event"] in ("blob lost", "blob miscounted")] == []
    stack.check_files()
    assert stack.stored_blobs() == stack.named_blobs()
