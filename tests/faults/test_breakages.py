"""Break each part of the full stack while tasks run: no task is lost, duplicated or stuck."""

import random
import time

import pytest

from tests.faults.breakage import BREAKAGES
from tests.faults.task_load import TaskLoad
from tests.support.stacks import FullStack

# One breakage of each kind: a process dies during its task, the database fails, a stale worker continues.
QUICK = ("kill_worker_children", "kill_postgres")
NAMES = [*QUICK, *(pytest.param(name, marks=pytest.mark.thorough) for name in BREAKAGES if name not in QUICK)]


@pytest.fixture
def stack(strict: FullStack) -> FullStack:
    return strict


@pytest.mark.parametrize("name", NAMES)
def test_no_task_is_lost_duplicated_or_stuck(stack: FullStack, name: str) -> None:
    load = TaskLoad(stack, name)

    with load.running():
        time.sleep(1)
        BREAKAGES[name](stack, random.Random(name))
        stack.await_ready()
        time.sleep(1)

    tasks = load.check()
    finished = [task for task in tasks if task.status == "finished"]
    assert len(finished) > 0.9 * len(tasks) > 0
