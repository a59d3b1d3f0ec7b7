"""Each committed change of a file is an event, in order, on both databases."""

from collections.abc import Iterator, Sequence

import pytest
from file_storage.models import Blob, File, FileEvent
from file_storage.services.events import FileChoice
from service_kit.database import Database, epoch_now
from service_kit.events.rows import Events, Position, position_of
from sqlalchemy import Connection, delete, insert, text, update

from tests.support.databases import KINDS, POSTGRESQL, empty_database

SHA256 = "0" * 64
DAY = 86_400


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a database with a blob; the tests add their own files to it."""
    with empty_database(request.param, tmp_path_factory.mktemp("file-events"), "file_storage") as database:
        with database.begin() as connection:
            connection.execute(insert(Blob).values(sha256=SHA256, size=1, file_count=0))
        yield database


@pytest.fixture
def events(database: Database) -> Events[FileEvent]:
    return Events(database, FileEvent)


@pytest.fixture
def start(events: Events[FileEvent]) -> Position:
    """Return the position before the events of this test."""
    return events.latest()


def add_files(connection: Connection, count: int = 1, owner: str = "local") -> list[int]:
    row = {"name": "a", "extension": ".txt", "search_name": "a.txt", "comment": "", "size": 1, "sha256": SHA256}
    rows = [{**row, "owner": owner, "media_type": "text/plain"} for _ in range(count)]
    return list(connection.scalars(insert(File).returning(File.id, sort_by_parameter_order=True), rows))


def rename(connection: Connection, file_id: int, name: str) -> None:
    connection.execute(update(File).where(File.id == file_id).values(name=name))


def trash(connection: Connection, file_ids: Sequence[int]) -> None:
    connection.execute(update(File).where(File.id.in_(file_ids)).values(deleted_at=epoch_now()))


def remove(connection: Connection, file_ids: Sequence[int]) -> None:
    connection.execute(delete(File).where(File.id.in_(file_ids)))


def changes_in(events: Sequence[FileEvent]) -> list[tuple[int, str]]:
    return [(event.file_id, event.change) for event in events]


def test_what_is_created_changed_and_deleted_is_an_event(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        [file_id] = add_files(connection)
    with database.begin() as connection:
        rename(connection, file_id, "b")
    with database.begin() as connection:
        remove(connection, [file_id])

    assert changes_in(events.after(start, 10)) == [(file_id, "created"), (file_id, "changed"), (file_id, "deleted")]


def test_a_file_in_the_trash_is_deleted_and_a_restored_one_is_created(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        [stays, goes] = add_files(connection, 2)
    with database.begin() as connection:
        trash(connection, [stays, goes])
    with database.begin() as connection:
        connection.execute(update(File).where(File.id == stays).values(deleted_at=None))
        remove(connection, [goes])

    found = events.after(start, 10)

    both = [(stays, "created"), (goes, "created"), (stays, "deleted"), (goes, "deleted")]
    assert changes_in(found) == [*both, (stays, "created")]


def test_an_event_of_a_file_that_went_to_the_trash_has_no_file(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        [file_id] = add_files(connection)
        trash(connection, [file_id])

    assert [event.file for event in events.after(start, 10)] == [None, None]


def test_changes_in_one_transaction_keep_their_order(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        first, second = add_files(connection, 2)
        remove(connection, [first])
        rename(connection, second, "b")
        [third] = add_files(connection)

    found = changes_in(events.after(start, 10))

    created = [(first, "created"), (second, "created")]
    assert found == [*created, (first, "deleted"), (second, "changed"), (third, "created")]


def test_a_change_that_is_rolled_back_is_not_an_event(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with pytest.raises(RuntimeError), database.begin() as connection:
        add_files(connection)
        raise RuntimeError

    assert events.after(start, 10) == []


def test_a_statement_that_deletes_many_files_makes_an_event_for_each(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        file_ids = add_files(connection, 300)
        connection.execute(delete(File).where(File.id.between(file_ids[0], file_ids[-1])))

    found = changes_in(events.after(start, 1000))

    assert found[300:] == [(file_id, "deleted") for file_id in file_ids]


def test_an_event_has_the_file_as_it_is_now(database: Database, events: Events[FileEvent], start: Position) -> None:
    with database.begin() as connection:
        stays, goes = add_files(connection, 2)
    with database.begin() as connection:
        rename(connection, stays, "later")
        remove(connection, [goes])

    names = {event.file_id: event.file and event.file.name for event in events.after(start, 10)}

    assert names == {stays: "later", goes: None}


def test_a_choice_and_an_owner_leave_out_other_files(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        of_ann, more_of_ann = add_files(connection, 2, "ann")
        [of_bob] = add_files(connection, 1, "bob")

    chosen = events.after(start, 10, FileChoice([of_ann, of_bob]))
    owned = events.after(start, 10, owner="ann")
    both = events.after(start, 10, FileChoice([of_ann, of_bob]), "ann")

    assert [event.file_id for event in chosen] == [of_ann, of_bob]
    assert [event.file_id for event in owned] == [of_ann, more_of_ann]
    assert [event.file_id for event in both] == [of_ann]
    assert [FileChoice([of_ann]).has(event) for event in chosen] == [True, False]
    assert [FileChoice().has(event) for event in chosen] == [True, True]


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
def test_a_transaction_that_commits_late_hides_no_event(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as late:
        [of_late] = add_files(late)
        with database.begin() as quick:
            [of_quick] = add_files(quick)

        # If a listener received this event now, it would never receive the other, whose position is before it.
        meanwhile = events.after(start, 10)

    found = events.after(start, 10)
    assert meanwhile == []
    assert [event.file_id for event in found] == [of_late, of_quick]
    assert [position_of(event) for event in found] == sorted(position_of(event) for event in found)


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
def test_a_statement_runs_each_trigger_once_for_all_files(database: Database) -> None:
    with database.begin() as connection:
        file_ids = add_files(connection, 20)
        statement = "EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM files WHERE id = ANY(:ids)"

        [[plan]] = connection.scalars(text(statement), {"ids": file_ids}).all()

    # The triggers of foreign keys run for each file; each of them reads an index.
    calls = {
        trigger["Trigger Name"]: trigger["Calls"] for trigger in plan["Triggers"] if "Constraint Name" not in trigger
    }
    assert calls == {"files_counted_delete": 1, "files_deleted": 1}


def test_an_event_does_not_show_a_file_that_has_expired(
    database: Database, events: Events[FileEvent], start: Position
) -> None:
    with database.begin() as connection:
        expired, kept = add_files(connection, 2)
        connection.execute(update(File).where(File.id == expired).values(expires_at=epoch_now() - 1))
        connection.execute(update(File).where(File.id == kept).values(expires_at=epoch_now() + DAY))

    shown = {event.file_id: event.file for event in events.after(start, 10)}

    assert shown[expired] is None
    assert shown[kept] is not None
