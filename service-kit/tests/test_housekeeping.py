"""Housekeeping runs each chore at its own interval, and survives outages and errors."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from service_kit.database import Database
from service_kit.housekeeping import Chore, Housekeeping
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.support.tables import table_away
from tests.support.waiting import wait_until

NEVER = 3600
OFTEN = 0.01

Start = Callable[..., Housekeeping]


class Counter:
    """A chore that counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1


def housekeepings() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "housekeeping"}


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Return a database with a table ``things``."""
    database = Database(f"sqlite:///{tmp_path}/things.db")
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
    return database


@pytest.fixture
def of_others() -> set[threading.Thread]:
    """Return the housekeeping threads of applications that other tests in this process created."""
    return housekeepings()


@pytest.fixture
def start(of_others: set[threading.Thread]) -> Iterator[Start]:
    started: list[Housekeeping] = []

    def start(*chores: Chore) -> Housekeeping:
        housekeeping = Housekeeping(chores)
        started.append(housekeeping)
        housekeeping.start()
        return housekeeping

    yield start
    for housekeeping in started:
        housekeeping.stop()
    wait_until(lambda: housekeepings() <= of_others, "the housekeeping has ended")


def test_a_chore_runs_at_the_start(start: Start, counter: Counter) -> None:
    start(Chore(NEVER, counter))

    wait_until(lambda: counter.runs == 1)


def test_a_chore_runs_again_after_its_interval(start: Start, counter: Counter) -> None:
    start(Chore(OFTEN, counter))

    wait_until(lambda: counter.runs >= 3)


def test_a_chore_does_not_run_before_its_interval_is_over(start: Start, counter: Counter) -> None:
    frequent = Counter()

    start(Chore(NEVER, counter), Chore(OFTEN, frequent))
    wait_until(lambda: frequent.runs >= 3)

    assert counter.runs == 1


def test_a_chore_runs_again_after_a_database_outage(start: Start, database: Database, counter: Counter) -> None:
    def count_if_the_table_is_there() -> None:
        with database.connect() as connection:
            connection.execute(text("SELECT 1 FROM things"))
        counter()

    with capture_logs() as logs, table_away(database, "things"):
        start(Chore(OFTEN, count_if_the_table_is_there))
        wait_until(lambda: any(entry["event"] == "housekeeping waits for the database" for entry in logs))
        assert counter.runs == 0

    wait_until(lambda: counter.runs >= 1)


def test_an_unexpected_error_keeps_no_other_chore_from_running(start: Start, counter: Counter) -> None:
    def fail() -> None:
        raise RuntimeError("unexpected")

    with capture_logs() as logs:
        start(Chore(OFTEN, fail), Chore(OFTEN, counter))
        wait_until(lambda: counter.runs >= 3)

    assert any(entry["event"] == "housekeeping failed" for entry in logs)


def test_a_chore_runs_again_after_an_unexpected_error(start: Start, counter: Counter) -> None:
    errors = [RuntimeError("unexpected")]

    def fail_once() -> None:
        if errors:
            raise errors.pop()
        counter()

    start(Chore(OFTEN, fail_once))

    wait_until(lambda: counter.runs >= 1)


def test_a_stopped_housekeeping_ends_without_waiting_for_its_intervals(
    start: Start, counter: Counter, of_others: set[threading.Thread]
) -> None:
    housekeeping = start(Chore(NEVER, counter))
    wait_until(lambda: counter.runs == 1)

    housekeeping.stop()

    wait_until(lambda: housekeepings() <= of_others, "the housekeeping has ended")
