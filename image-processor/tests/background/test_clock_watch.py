"""The clock watch detects steps of the database's clock; slow drift and slow responses are not steps."""

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
    """The clock of a SQLite database; it can be set, be slow, or fail."""

    def __init__(self, database: Database) -> None:
        self.ahead = 0.0
        self.delay_before_reading = 0.0
        self.delay_after_reading = 0.0
        self.works = True
        event.listen(database.engine, "connect", self._replace)

    def _replace(self, connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.create_function("julianday", 1, self._julian_day)

    def _julian_day(self, _now: str) -> float:
        if not self.works:
            raise RuntimeError("the clock fails")
        time.sleep(self.delay_before_reading)
        now = (time.time() + self.ahead) / 86400 + 2440587.5
        time.sleep(self.delay_after_reading)
        return now


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Return an empty database: reading its clock needs no table."""
    return Database(f"sqlite:///{tmp_path}/clock.db")


@pytest.fixture
def clock(database: Database) -> DatabaseClock:
    return DatabaseClock(database)


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def watch(database: Database, clock: DatabaseClock, steps: list[str]) -> ClockWatch:
    return ClockWatch(database, TOLERANCE_SECONDS, [lambda: steps.append("step")])


def check_in_time(watch: ClockWatch) -> None:
    """Check repeatedly until a response is fast enough, which may take a while on a busy machine."""
    wait_until(lambda: watch.check() is not None)


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["forward", "backward"])
def test_a_step_of_the_clock_is_detected(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str], ahead: float
) -> None:
    watch.check()

    clock.ahead = ahead
    watch.check()

    assert steps == ["step"]


def test_a_step_is_detected_once(watch: ClockWatch, clock: DatabaseClock, steps: list[str]) -> None:
    watch.check()
    clock.ahead = HOUR
    watch.check()

    watch.check()

    assert steps == ["step"]


def test_the_first_check_detects_no_step(watch: ClockWatch, clock: DatabaseClock, steps: list[str]) -> None:
    clock.ahead = HOUR

    watch.check()

    assert steps == []


@pytest.mark.parametrize("drift", [20.0, -20.0], ids=["forward", "backward"])
def test_a_difference_below_the_tolerance_is_not_a_step(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str], drift: float
) -> None:
    watch.check()

    clock.ahead = drift
    watch.check()

    assert steps == []


def test_slow_drift_is_not_a_step_although_its_sum_exceeds_the_tolerance(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str]
) -> None:
    for count in range(5):
        clock.ahead = 20.0 * count
        watch.check()

    assert steps == []


def test_a_check_returns_the_time_of_the_database(watch: ClockWatch, clock: DatabaseClock) -> None:
    clock.ahead = 24 * HOUR

    now = watch.check()

    assert now == pytest.approx(time.time() + 24 * HOUR, abs=HOUR)


def test_a_response_that_was_too_slow_is_ignored(database: Database, clock: DatabaseClock, steps: list[str]) -> None:
    watch = ClockWatch(database, 0.2, [lambda: steps.append("step")])
    check_in_time(watch)

    clock.ahead, clock.delay_after_reading = HOUR, 0.25
    now = watch.check()

    assert (now, steps) == (None, [])


def test_a_step_during_a_slow_response_is_detected_by_the_next_check(
    database: Database, clock: DatabaseClock, steps: list[str]
) -> None:
    watch = ClockWatch(database, 0.2, [lambda: steps.append("step")])
    check_in_time(watch)
    clock.ahead, clock.delay_after_reading = HOUR, 0.25
    watch.check()

    clock.delay_after_reading = 0
    check_in_time(watch)

    assert steps == ["step"]


def test_the_time_that_a_response_took_is_not_a_step(
    database: Database, clock: DatabaseClock, steps: list[str]
) -> None:
    watch = ClockWatch(database, 0.5, [lambda: steps.append("step")])
    check_in_time(watch)

    clock.ahead, clock.delay_before_reading = 0.3, 0.3
    check_in_time(watch)

    assert steps == []


def test_a_step_during_an_outage_is_detected_after_it(
    watch: ClockWatch, clock: DatabaseClock, steps: list[str]
) -> None:
    watch.check()
    clock.ahead, clock.works = HOUR, False
    with pytest.raises(OperationalError):
        watch.check()

    clock.works = True
    watch.check()

    assert steps == ["step"]
