"""Housekeeping runs each chore at its interval in one of all processes, and survives outages, errors and kills."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from service_kit import housekeeping as module
from service_kit.database import Database
from service_kit.forking import fork_safe_database
from service_kit.housekeeping import CLAIM_SECONDS, Chore, ChoreRow, Housekeeping, OwnChore
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import DeclarativeBase
from structlog.testing import capture_logs

from tests.support.databases import postgres_database
from tests.support.tables import table_away
from tests.support.waiting import wait_until

NEVER = 3600
OFTEN = 0.01

Start = Callable[..., Housekeeping]
Process = Callable[..., Housekeeping]


class Base(DeclarativeBase):
    pass


class ChoreOfTests(ChoreRow, Base):
    """The table of chores of the processes in these tests."""

    __tablename__ = "chores"


class Counter:
    """A chore that counts its runs, and reports that it has done nothing."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> int:
        self.runs += 1
        return 0


def housekeepings() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "housekeeping"}


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shared.db"
        return
    with postgres_database("chores") as server:
        yield server


@pytest.fixture
def process(url: str) -> Iterator[Process]:
    """Return a function that creates the housekeeping of another process on the same database, without its thread."""
    databases = [fork_safe_database(url, 1)]
    Base.metadata.create_all(databases[0].engine)

    def create(*chores: Chore) -> Housekeeping:
        databases.append(fork_safe_database(url, 1))
        return Housekeeping(databases[-1], ChoreOfTests, chores)

    yield create
    for database in databases:
        database.engine.dispose()


def pass_time(url: str, seconds: float) -> None:
    """Set what the database has stored as if its clock were later by this many seconds."""
    database = Database(url)
    with database.begin() as connection:
        connection.execute(update(ChoreOfTests).values(due_at=ChoreOfTests.due_at - seconds))
    database.engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Return a database with a table ``things``, and that of the chores."""
    database = Database(f"sqlite:///{tmp_path}/things.db")
    Base.metadata.create_all(database.engine)
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
    return database


@pytest.fixture
def of_others() -> set[threading.Thread]:
    """Return the housekeeping threads of applications that other tests in this process created."""
    return housekeepings()


@pytest.fixture
def start(database: Database, of_others: set[threading.Thread]) -> Iterator[Start]:
    started: list[Housekeeping] = []

    def start(*chores: Chore, own: tuple[OwnChore, ...] = ()) -> Housekeeping:
        housekeeping = Housekeeping(database, ChoreOfTests, chores, own)
        started.append(housekeeping)
        housekeeping.start()
        return housekeeping

    yield start
    for housekeeping in started:
        housekeeping.stop()
    wait_until(lambda: housekeepings() <= of_others, "the housekeeping has ended")


def test_a_chore_runs_at_the_start(start: Start, counter: Counter) -> None:
    start(Chore("a", NEVER, counter))

    wait_until(lambda: counter.runs == 1)


def test_a_chore_runs_again_after_its_interval(start: Start, counter: Counter) -> None:
    start(Chore("a", OFTEN, counter))

    wait_until(lambda: counter.runs >= 3)


def test_a_chore_does_not_run_before_its_interval_is_over(start: Start, counter: Counter) -> None:
    frequent = Counter()

    start(Chore("a", NEVER, counter), Chore("b", OFTEN, frequent))
    wait_until(lambda: frequent.runs >= 3)

    assert counter.runs == 1


def test_a_chore_runs_again_after_a_database_outage(start: Start, database: Database, counter: Counter) -> None:
    def count_if_the_table_is_there() -> int:
        with database.connect() as connection:
            connection.execute(text("SELECT 1 FROM things"))
        return counter()

    with capture_logs() as logs, table_away(database, "things"):
        start(Chore("a", OFTEN, count_if_the_table_is_there))
        wait_until(lambda: any(entry["event"] == "housekeeping waits for the database" for entry in logs))
        assert counter.runs == 0

    wait_until(lambda: counter.runs >= 1)


def test_chores_wait_for_their_table_and_a_process_does_its_own_ones(
    start: Start, database: Database, counter: Counter
) -> None:
    own = Counter()

    with capture_logs() as logs, table_away(database, "chores"):
        start(Chore("a", OFTEN, counter), own=(OwnChore(OFTEN, own),))
        wait_until(lambda: own.runs >= 3)
        assert counter.runs == 0

    wait_until(lambda: counter.runs >= 1)
    assert any(entry["event"] == "housekeeping waits for the database" for entry in logs)


def test_an_unexpected_error_keeps_no_other_chore_from_running(start: Start, counter: Counter) -> None:
    own = Counter()

    def fail() -> int:
        raise RuntimeError("unexpected")

    with capture_logs() as logs:
        start(
            Chore("a", OFTEN, fail),
            Chore("b", OFTEN, counter),
            own=(OwnChore(OFTEN, fail), OwnChore(OFTEN, own)),
        )
        wait_until(lambda: counter.runs >= 3 and own.runs >= 3)

    assert any(entry["event"] == "housekeeping failed" for entry in logs)


def test_a_chore_runs_again_after_an_unexpected_error(start: Start, counter: Counter) -> None:
    errors = [RuntimeError("unexpected")]

    def fail_once() -> int:
        if errors:
            raise errors.pop()
        return counter()

    start(Chore("a", OFTEN, fail_once))

    wait_until(lambda: counter.runs >= 1)


def test_a_stopped_housekeeping_ends_without_waiting_for_its_intervals(
    start: Start, counter: Counter, of_others: set[threading.Thread]
) -> None:
    housekeeping = start(Chore("a", NEVER, counter))
    wait_until(lambda: counter.runs == 1)

    housekeeping.stop()

    wait_until(lambda: housekeepings() <= of_others, "the housekeeping has ended")


def test_one_of_two_processes_runs_a_chore_in_each_interval(process: Process, url: str, counter: Counter) -> None:
    first, second = process(Chore("a", NEVER, counter)), process(Chore("a", NEVER, counter))

    first.run_due()
    second.run_due()
    assert counter.runs == 1

    pass_time(url, NEVER)
    second.run_due()
    first.run_due()
    assert counter.runs == 2


def test_processes_that_find_a_chore_due_at_the_same_time_run_it_once(process: Process, counter: Counter) -> None:
    processes = [process(Chore("a", NEVER, counter)) for _ in range(8)]
    together = threading.Barrier(len(processes))

    def run(keeper: Housekeeping) -> None:
        together.wait()
        keeper.run_due()

    with ThreadPoolExecutor(len(processes)) as threads:
        list(threads.map(run, processes))

    assert counter.runs == 1


def test_each_process_does_its_own_chores(start: Start, counter: Counter) -> None:
    own = [Counter(), Counter()]

    for own_counter in own:
        start(Chore("a", NEVER, counter), own=(OwnChore(OFTEN, own_counter),))

    # A process looks for shared chores before its own ones.
    wait_until(lambda: all(own_counter.runs >= 2 for own_counter in own))
    assert counter.runs == 1


def test_own_chores_do_not_look_for_shared_ones(start: Start, database: Database, counter: Counter) -> None:
    own, statements = Counter(), list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    start(Chore("a", NEVER, counter), own=(OwnChore(OFTEN, own),))
    wait_until(lambda: own.runs >= 5)

    # The row is inserted, claimed and set; the last look finds nothing due.
    words = [statement.split()[0] for statement in statements]
    assert [word for word in words if word != "BEGIN"] == ["SELECT", "INSERT", "UPDATE", "UPDATE", "SELECT"]


def test_a_killed_process_is_followed_by_another(process: Process, url: str, counter: Counter) -> None:
    follower = process(Chore("a", NEVER, counter))

    def be_killed() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def keep() -> None:
        Housekeeping(Database(url), ChoreOfTests, [Chore("a", NEVER, be_killed)]).run_due()

    killed = get_context("fork").Process(target=keep)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL

    look_again = follower.run_due()
    assert (counter.runs, look_again <= CLAIM_SECONDS) == (0, True)
    pass_time(url, CLAIM_SECONDS)
    follower.run_due()
    assert counter.runs == 1


def test_a_process_that_was_too_slow_leaves_the_chore_to_its_follower(
    process: Process, url: str, counter: Counter
) -> None:
    follower = process(Chore("a", NEVER, counter))

    def be_overtaken() -> int:
        pass_time(url, CLAIM_SECONDS)
        follower.run_due()
        return 0

    process(Chore("a", 1, be_overtaken)).run_due()

    # The interval of the slow process, a second, does not count any more.
    pass_time(url, 2)
    follower.run_due()
    assert counter.runs == 1


def test_a_chore_goes_on_while_its_steps_are_full_and_writes_one_line(process: Process) -> None:
    done = [2, 2, 1, 7]
    keeper = process(Chore("a", NEVER, lambda: done.pop(0), 2), Chore("b", NEVER, lambda: 0, 2))

    with capture_logs() as logs:
        keeper.run_due()

    assert done == [7]
    assert logs == [{"event": "housekeeping done", "log_level": "info", "chore": "a", "count": 5}]


def test_a_chore_with_much_to_do_lets_others_have_their_turn_and_goes_on(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0)
    done, order = [2, 2, 1], list[str]()

    def long() -> int:
        order.append("long")
        return done.pop(0)

    def short() -> int:
        order.append("short")
        return 0

    keeper = process(Chore("a", NEVER, long, 2), Chore("b", NEVER, short))
    while keeper.run_due() == 0:
        pass

    assert order == ["long", "short", "long", "long"]


def test_a_clock_that_is_set_back_stops_no_chore(process: Process, url: str, counter: Counter) -> None:
    keeper = process(Chore("a", 60, counter))
    keeper.run_due()

    pass_time(url, -7200)
    keeper.run_due()

    assert counter.runs == 2


def test_a_process_looks_again_before_the_longest_interval_is_over(process: Process, counter: Counter) -> None:
    keeper = process(Chore("a", NEVER, counter), Chore("b", 60, counter))
    keeper.run_due()

    assert 0 < keeper.run_due() <= 60


def test_the_row_of_a_chore_is_made_by_the_first_process(process: Process, url: str, counter: Counter) -> None:
    process(Chore("a", NEVER, counter)).run_due()
    process(Chore("a", NEVER, counter), Chore("of a new version", NEVER, counter)).run_due()

    database = Database(url)
    with database.connect() as connection:
        assert sorted(connection.scalars(select(ChoreOfTests.name))) == ["a", "of a new version"]
    database.engine.dispose()
    assert counter.runs == 2
