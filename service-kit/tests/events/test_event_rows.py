"""Events are read in the order of their commits: none is hidden by one that was committed earlier."""

import pytest
from service_kit.database import MAX_ID, Database, epoch_now, oldest_running_transaction
from service_kit.events.rows import Events, Position, position_of
from sqlalchemy import create_engine, insert, select, text, update

from tests.support.deletions import deleted_rows
from tests.support.measurements import Measurement, SensorChoice, measure, measure_in

BEGINNING = Position(0, 0)
DAY = 86_400
POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.server)


@pytest.fixture
def events(each_database: Database) -> Events[Measurement]:
    return Events(each_database, Measurement)


@pytest.mark.parametrize("position", [BEGINNING, Position(0, 1), Position(12, 0), Position(MAX_ID, MAX_ID)])
def test_the_text_of_a_position_is_read_again(position: Position) -> None:
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("wrong", ["", "1", "1-", "-1", "-1-2", "1-2-3", "a-b", f"{2**63}-0", f"0-{2**63}"])
def test_another_text_is_not_a_position(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Position.parse(wrong)


def test_without_events_the_latest_position_is_the_beginning(events: Events[Measurement]) -> None:
    assert events.latest() == BEGINNING


def test_pages_of_events_follow_each_other(each_database: Database, events: Events[Measurement]) -> None:
    added = [*measure(each_database, 1, 2, 3), *measure(each_database, 4)]

    first = events.after(BEGINNING, 3)
    second = events.after(position_of(first[-1]), 3)

    assert [[event.id for event in page] for page in (first, second)] == [added[:3], added[3:]]
    assert events.latest() == position_of(second[-1])
    assert events.after(events.latest(), 3) == []


def test_a_choice_and_an_owner_leave_out_other_events(each_database: Database, events: Events[Measurement]) -> None:
    measure(each_database, 1, 2, owner="ann")
    measure(each_database, 1, 3, owner="bob")

    def found(choice: SensorChoice | None = None, owner: str | None = None) -> list[tuple[str, int]]:
        return [(event.owner, event.sensor_id) for event in events.after(BEGINNING, 10, choice, owner)]

    assert found(SensorChoice([1, 3])) == [("ann", 1), ("bob", 1), ("bob", 3)]
    assert found(owner="bob") == [("bob", 1), ("bob", 3)]
    assert found(SensorChoice([1]), "ann") == [("ann", 1)]


def test_old_events_are_forgotten_in_steps_and_young_ones_stay(
    each_database: Database, events: Events[Measurement]
) -> None:
    old = {"transaction_id": 1, "owner": "ann", "sensor_id": 1, "created_at": 1.0}
    with each_database.begin() as connection:
        connection.execute(insert(Measurement), [old] * 1500)
    [almost_old, young] = measure(each_database, 2, 3)
    with each_database.begin() as connection:
        age = epoch_now() - DAY + 60
        connection.execute(update(Measurement).where(Measurement.id == almost_old).values(created_at=age))

    with deleted_rows(each_database) as counts:
        events.forget_older_than(DAY)

    assert counts == [1000, 500]
    assert [event.id for event in events.after(BEGINNING, 10)] == [almost_old, young]


@pytest.mark.parametrize("each_database", [POSTGRESQL], indirect=True)
def test_an_event_waits_for_transactions_that_may_commit_an_earlier_one(
    each_database: Database, events: Events[Measurement]
) -> None:
    with each_database.begin() as late:
        [of_late] = measure_in(late, 1)
        [of_quick] = measure(each_database, 2)

        # If a listener received this event now, it would never receive the other, whose position is before it.
        meanwhile, newest = events.after(BEGINNING, 10), events.latest()

    assert (meanwhile, newest) == ([], BEGINNING)
    assert [event.id for event in events.after(BEGINNING, 10)] == [of_late, of_quick]


@pytest.mark.parametrize("each_database", [POSTGRESQL], indirect=True)
def test_the_order_is_that_of_transactions_not_that_of_ids(
    each_database: Database, events: Events[Measurement]
) -> None:
    with each_database.begin() as early:
        early.execute(text("SELECT pg_current_xact_id()"))
        [of_later] = measure(each_database, 1)
        [of_early] = measure_in(early, 2)

    found = events.after(BEGINNING, 10)

    assert of_later < of_early
    assert [event.id for event in found] == [of_early, of_later]
    assert [event.id for event in events.after(position_of(found[0]), 10)] == [of_later]
    assert events.latest() == position_of(found[1])


@pytest.mark.parametrize("each_database", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("role", ["the administrator", "a service"])
def test_an_open_transaction_of_another_database_delays_no_event(
    each_database: Database, events: Events[Measurement], role: str
) -> None:
    another = create_engine(each_database.engine.url.set(database="postgres"))
    listening = each_database.engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    if role == "a service":
        listening.execute(text("CREATE ROLE service_of_events"))
        listening.execute(text("SET ROLE service_of_events"))
    with another.begin() as writing:
        writing.execute(text("CREATE TABLE written (id int)"))
        [event_id] = measure(each_database, 1)

        oldest = listening.execute(select(oldest_running_transaction())).scalar_one()
        found = events.after(BEGINNING, 10)

        writing.rollback()
    listening.execute(text("RESET ROLE"))
    if role == "a service":
        listening.execute(text("DROP ROLE service_of_events"))
    listening.close()
    another.dispose()
    assert [event.id for event in found] == [event_id]
    assert found[0].transaction_id < oldest
