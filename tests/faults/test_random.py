"""Random breakages from a seed while tasks run; ``make faults`` runs them for ten minutes."""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.faults.breakage import BREAKAGES
from tests.faults.task_load import TaskLoad
from tests.support.stacks import FullStack

pytestmark = pytest.mark.thorough

SECONDS = int(os.environ.get("PIXMILL_FAULTS_SECONDS", "120"))
SEED = os.environ.get("PIXMILL_FAULTS_SEED", "1")
# Post batches more slowly than the worker processes them, so that few are left at the end.
PAUSE_SECONDS = 0.7


@pytest.mark.timeout(SECONDS + 600)
def test_no_task_is_lost_duplicated_or_stuck_under_random_breakages(
    stack: FullStack, record_property: Callable[[str, object], None]
) -> None:
    rng = random.Random(SEED)
    load = TaskLoad(stack, "random")
    broken = []
    deadline = time.monotonic() + SECONDS * 0.8

    with load.running(PAUSE_SECONDS):
        while time.monotonic() < deadline:
            name = rng.choice(list(BREAKAGES))
            broken.append(name)
            BREAKAGES[name](stack, rng)
            time.sleep(rng.uniform(0, 3))
        stack.await_ready()

    tasks = load.check()
    record_property("broken", broken)
    assert len(load.task_ids) > 10
    # Only a task whose process was killed three times may end in error.
    assert all("Gave up after 3 crashes" in str(task.error) for task in tasks if task.status == "error")
