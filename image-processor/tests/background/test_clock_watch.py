"""The clock watch: a step of the database's clock is noticed, slow drift and late answers are not taken for one."""

import time
from pathlib import Path

import pytest
from image_processor.background.clock_watch import ClockWatch
from service_kit.database import Database
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from tests.support.waiting import wait_until

HOUR = 3600.0
TOLERANCE_SECONDS = 30.0


class DatabaseClock:
    """The clock of a SQLite database; it can be set, slow to answer, or out of order."""

    def __init__(self, database: Database) -> None:
        self.ahead = 0.0
        self.read_after = 0.0
        self.answers_after = 0.0
        self.works = True
        event.listen(database.engine, "connect", self._replace)

    def _replace(self, connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.create_function("julianday", 1, self._julian_day)

    def _julian_day(self, _now: str) -> float:
        if not self.works:
            raise RuntimeError("SQLite makes an error of this")
        time.sleep(self.read_after)
        now = (time.time() + self.ahead) / 86400 + 2440587.5
        time.sleep(self.answers_after)
        return now


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Without any table: a look at the clock needs none."""
    return Database(f"sqlite:///{tmp_path}/clock.db")


@pytest.fixture
def clock(database: Database) -> DatabaseClock:
    return DatabaseClock(database)


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def watch(database: Database, clock: DatabaseClock, steps: list[str]) -> ClockWatch:
    return ClockWatch(database, TOLERANCE_SECONDS, lambda: steps.append("step"))


def look_in_time(watch: ClockWatch) -> None:
    """Looks until an answer has come in time, also on a busy machine."""
    wait_until(lambda: watch.look() is not None)


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["forward", "backward"])
def test_a_step_of_the_clock_is_noticed(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str], ahead: float
) -> None:
    watch.look()

    clock.ahead = ahead
    watch.look()

    assert steps == ["step"]


def test_one_step_is_noticed_once(watch: ClockWatch, clock: DatabaseClock, steps: list[str]) -> None:
    watch.look()
    clock.ahead = HOUR
    watch.look()

    watch.look()

    assert steps == ["step"]


def test_the_first_look_takes_no_clock_for_set(watch: ClockWatch, clock: DatabaseClock, steps: list[str]) -> None:
    clock.ahead = HOUR

    watch.look()

    assert steps == []


@pytest.mark.parametrize("drift", [20.0, -20.0], ids=["forward", "backward"])
def test_a_difference_below_the_tolerance_is_no_step(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str], drift: float
) -> None:
    watch.look()

    clock.ahead = drift
    watch.look()

    assert steps == []


def test_slow_drift_is_no_step_although_its_sum_exceeds_the_tolerance(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str]
) -> None:
    for look in range(5):
        clock.ahead = 20.0 * look
        watch.look()

    assert steps == []


def test_a_look_gives_the_time_of_the_database(watch: ClockWatch, clock: DatabaseClock) -> None:
    clock.ahead = 24 * HOUR

    now = watch.look()

    assert now == pytest.approx(time.time() + 24 * HOUR, abs=HOUR)


def test_an_answer_that_came_too_late_is_ignored(database: Database, clock: DatabaseClock, steps: list[str]) -> None:
    watch = ClockWatch(database, 0.2, lambda: steps.append("step"))
    look_in_time(watch)

    clock.ahead, clock.answers_after = HOUR, 0.25
    now = watch.look()

    assert (now, steps) == (None, [])


def test_a_step_behind_a_late_answer_is_noticed_at_the_next_look(
    database: Database, clock: DatabaseClock, steps: list[str]
) -> None:
    watch = ClockWatch(database, 0.2, lambda: steps.append("step"))
    look_in_time(watch)
    clock.ahead, clock.answers_after = HOUR, 0.25
    watch.look()

    clock.answers_after = 0
    look_in_time(watch)

    assert steps == ["step"]


def test_the_time_that_an_answer_took_is_no_step(database: Database, clock: DatabaseClock, steps: list[str]) -> None:
    watch = ClockWatch(database, 0.5, lambda: steps.append("step"))
    look_in_time(watch)

    clock.ahead, clock.read_after = 0.3, 0.3
    look_in_time(watch)

    assert steps == []


def test_a_step_during_an_outage_is_noticed_after_it(watch: ClockWatch, clock: DatabaseClock, steps: list[str]) -> None:
    watch.look()
    clock.ahead, clock.works = HOUR, False
    with pytest.raises(OperationalError):
        watch.look()

    clock.works = True
    watch.look()

    assert steps == ["step"]
