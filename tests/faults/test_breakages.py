"""Each part of the full stack broken while tasks run: nothing is lost, doubled or stuck."""

import random
import time

import pytest

from tests.faults.breakage import BREAKAGES
from tests.faults.load import Load
from tests.support.stacks import FullStack

# Each kind once: a process dies under its task, the truth goes away, a zombie comes back.
QUICK = ("kill_worker_children", "kill_postgres", "freeze_worker")
NAMES = [*QUICK, *(pytest.param(name, marks=pytest.mark.thorough) for name in BREAKAGES if name not in QUICK)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_doubled_or_stuck(stack: FullStack, name: str) -> None:
    load = Load(stack, name)

    with load.running():
        time.sleep(1)
        BREAKAGES[name](stack, random.Random(name))
        stack.await_ready()
        time.sleep(1)

    tasks = load.check()
    finished = [task for task in tasks if task["status"] == "finished"]
    assert len(finished) > 0.9 * len(tasks) > 0
