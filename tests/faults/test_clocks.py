"""Clocks are set while tasks run: leases and delays depend only on the database's clock, and survive its steps."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.faults.task_load import TaskLoad
from tests.support.client import FILES, ONCE, TASKS, Served, ended_task
from tests.support.environment import LEASE, LEASE_SECONDS
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.processes import find_program, skip_where_missing
from tests.support.receiver import Receiver
from tests.support.stacks import FullStack

pytestmark = pytest.mark.thorough

HOUR = 3600


class Clock:
    """The wall clock of all processes with ``environment``; like a real step, it leaves monotonic clocks unchanged."""

    def __init__(self, file: Path) -> None:
        library = find_program("libfaketimeMT.so.1", "/usr/lib/*/faketime", "/usr/lib/faketime")
        self.environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """Set the clock ahead of or behind the true time."""
        changed = self._file.with_suffix(".new")
        changed.write_text(f"{seconds:+}\n")
        changed.chmod(0o644)
        changed.replace(self._file)


def services_time(stack: FullStack) -> float:
    """Return file-storage's time, in seconds since 1970."""
    with Served(stack.url) as pixmill:
        file_id = pixmill.files.upload(b"tick", name="clock.txt").id
        link = pixmill.http.post(f"{FILES}/{file_id}/links", json={"expires_in": 60}).raise_for_status().json()
    return parsedate_to_datetime(link["expires_at"]).timestamp() - 60


def database_time(stack: FullStack) -> float:
    """Return PostgreSQL's time, in seconds since 1970."""
    with Served(stack.url) as pixmill:
        return parsedate_to_datetime(
            str(pixmill.files.upload(b"tick", name="clock.txt").document["created_at"])
        ).timestamp()


TIME_OF = {"services": services_time, "database": database_time}


@pytest.fixture(scope="module")
def clocks() -> dict[str, Clock]:
    folder = temporary_folder("clocks")
    with skip_where_missing():
        return {name: Clock(folder / name) for name in ("services", "database")}


@pytest.fixture(scope="module")
def stack(clocks: dict[str, Clock]) -> Iterator[FullStack]:
    folder = temporary_folder("faults")
    with skip_where_missing():
        started = FullStack(folder, LEASE | clocks["services"].environment, clocks["database"].environment)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def _reset_clocks(clocks: dict[str, Clock]) -> Iterator[None]:
    yield
    for clock in clocks.values():
        clock.set(0)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "backward"])
@pytest.mark.parametrize("whose", [["services"], ["database"], ["services", "database"]], ids="-".join)
def test_a_step_of_a_clock_affects_no_task(
    stack: FullStack, clocks: dict[str, Clock], whose: list[str], step: int
) -> None:
    load = TaskLoad(stack, f"{'-'.join(whose)}{step}", ONCE)

    with load.running():
        time.sleep(1)
        for name in whose:
            clocks[name].set(step)
        offsets = {name: TIME_OF[name](stack) - time.time() for name in whose}
        time.sleep(2)
    tasks = load.check()

    assert offsets == {name: pytest.approx(step, abs=10) for name in whose}
    assert [task for task in tasks if task.status != "finished"] == []
    assert load.refused == {}


def test_a_database_clock_set_back_delays_no_webhook(stack: FullStack, clocks: dict[str, Clock]) -> None:
    with Receiver(refusals=1) as receiver, Served(stack.url) as pixmill:
        source = pixmill.files.upload(photo(), name="webhook.png")
        pixmill.http.post(
            f"{TASKS}/", json={"file_ids": [source.id], "algorithm": "flip", "callback_url": receiver.url}
        )
        receiver.await_count(1)
        time.sleep(1)  # the refusal is recorded, but the retry is not yet due

        clocks["database"].set(-HOUR)

        receiver.await_count(2)


def test_a_database_clock_set_forward_expires_no_lease(stack: FullStack, clocks: dict[str, Clock]) -> None:
    with Served(stack.url) as pixmill:
        source = pixmill.files.upload(photo(), name="paused.png")
        params = {"seconds": LEASE_SECONDS + 3}
        task = {"file_ids": [source.id], "algorithm": "pause", "params": params}
        [task_id] = pixmill.http.post(f"{TASKS}/", json=task).json()["task_ids"]
        time.sleep(1)

        clocks["database"].set(HOUR)

        assert ended_task(pixmill, task_id).status == "finished"
    log = stack.worker_log.read_text()
    assert "database clock was set" in log
    assert [line for line in log.splitlines() if f'"task_id": {task_id},' in line and "lost" in line] == []
