"""The processes that compute pixels leave the processor to the services that answer requests."""

import os
from collections.abc import Callable

import pytest

from tests.support.processes import children_of, processes_of
from tests.support.render_service import render_processes
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks


def worker_processes(stack: Stack) -> list[int]:
    """Return the ids of the processes that run tasks."""
    workers = [number for number, command in processes_of(stack.folder).items() if "celery" in command]
    return [child for worker in workers for child in children_of(worker) if child in workers]


@pytest.mark.parametrize("processes", [render_processes, worker_processes], ids=["renders", "tasks"])
def test_processes_that_compute_pixels_have_a_lower_priority_than_the_services(
    stack: Stack, processes: Callable[[Stack], list[int]]
) -> None:
    services = [number for number, command in processes_of(stack.folder).items() if "uwsgi" in command]

    of_services = max(os.getpriority(os.PRIO_PROCESS, number) for number in services)

    # A process lowers its priority when it has started, which may be later than the first answer of a service.
    wait_until(
        lambda: {os.getpriority(os.PRIO_PROCESS, number) for number in processes(stack)} == {of_services + 10},
        "all have the lower priority",
    )
