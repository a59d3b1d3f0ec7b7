"""A seeded mix of everything that can break, while tasks run; ``make faults`` lets it run for ten minutes."""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.faults.breakage import BREAKAGES
from tests.faults.load import Load
from tests.support.stacks import FullStack

pytestmark = pytest.mark.thorough

SECONDS = int(os.environ.get("PIXMILL_FAULTS_SECONDS", "120"))
SEED = os.environ.get("PIXMILL_FAULTS_SEED", "1")
# Batches are posted more slowly than the worker needs, so that the end does not drag on.
PAUSE_SECONDS = 0.7


@pytest.mark.timeout(SECONDS + 600)
def test_whatever_breaks_nothing_is_lost_doubled_or_stuck(
    stack: FullStack, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(SEED)
    load = Load(stack, "random")
    broken = []
    deadline = time.monotonic() + SECONDS * 0.8

    with load.running(PAUSE_SECONDS):
        while time.monotonic() < deadline:
            name = chance.choice(list(BREAKAGES))
            broken.append(name)
            BREAKAGES[name](stack, chance)
            time.sleep(chance.uniform(0, 3))
        stack.await_ready()

    tasks = load.check()
    record_property("broken", broken)
    assert len(load.task_ids) > SECONDS
    # A task whose processes were killed three times may say so; nothing else may go wrong.
    assert all("Gave up after 3 attempts" in str(task["error"]) for task in tasks if task["status"] == "error")
