"""The file service with a failing store, and with concurrent requests."""

from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import Blob, File
from file_storage.services.blobs import BlobService
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter
from file_storage.services.shared_sets import NewSet, SharedSets
from file_storage.services.trash import TrashService
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.settings import load
from sqlalchemy import event, update
from sqlalchemy.exc import OperationalError

from tests.support.databases import migrated_postgres_database
from tests.support.stored import stored


def test_a_file_is_deleted_even_if_its_bytes_cannot_be_removed(services: svcs.Container, tmp_path: Path) -> None:
    files, file = services.get(FileService), stored(services, b"content")
    blob = tmp_path / "blobs" / files.location(file)
    blob.unlink()
    blob.mkdir()  # nobody can unlink it, not even root

    files.delete(LOCAL, file.id)

    with pytest.raises(DomainError, match="no file"):
        files.get(LOCAL, file.id)
    blob.rmdir()
    blob.write_bytes(b"content")
    assert services.get(BlobService).collect_garbage(0) == 1
    assert not blob.exists()


def test_bytes_that_a_file_still_has_are_kept_even_if_the_count_is_too_low(services: svcs.Container) -> None:
    files = services.get(FileService)
    first, second = stored(services, b"content"), stored(services, b"content")
    with services.get(Database).write() as session:
        session.execute(update(Blob).values(file_count=1))

    files.delete(LOCAL, first.id)
    removed = services.get(BlobService).collect_garbage(0)

    assert removed == 0
    assert files.open(files.get(LOCAL, second.id)).read() == b"content"


def test_a_revocation_that_fails_is_complete_when_repeated(services: svcs.Container) -> None:
    files, file, engine = services.get(FileService), stored(services, b"content", "key"), services.get(Database).engine

    def lose_connection(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM files"):
            raise OperationalError(statement, {}, ConnectionResetError())

    event.listen(engine, "before_cursor_execute", lose_connection)
    with pytest.raises(OperationalError):
        files.revoke(LOCAL, "key")
    event.remove(engine, "before_cursor_execute", lose_connection)
    unchanged = stored(services, b"content", "key")
    files.revoke(LOCAL, "key")

    assert unchanged.id == file.id
    with pytest.raises(DomainError, match="no file"):
        files.get(LOCAL, file.id)
    with pytest.raises(DomainError, match="revoked"):
        stored(services, b"content", "key")


def test_a_revocation_deletes_a_file_that_an_upload_stores_meanwhile_when_repeated(services: svcs.Container) -> None:
    files, engine, made = services.get(FileService), services.get(Database).engine, list[File]()

    def store_behind(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT idempotency_keys.file_id") and not made:
            made.append(stored(services, b"content", "key"))

    event.listen(engine, "after_cursor_execute", store_behind)
    with pytest.raises(DomainError, match="try again"):
        files.revoke(LOCAL, "key")
    event.remove(engine, "after_cursor_execute", store_behind)
    before = files.get(LOCAL, made[0].id)
    files.revoke(LOCAL, "key")

    with pytest.raises(DomainError, match="no file"):
        files.get(LOCAL, before.id)


@pytest.mark.server
@pytest.mark.usefixtures("settings")
def test_a_key_whose_file_is_deleted_during_the_upload_asks_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with migrated_postgres_database("keys", "file_storage") as url:
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", url)
        services = svcs.Container(create_registry(load(Settings)))
        files, file = services.get(FileService), stored(services, b"content", "key")

        def delete_behind(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if "FROM idempotency_keys" in statement and "fingerprint" in statement:
                files.delete(LOCAL, file.id)

        event.listen(services.get(Database).engine, "after_cursor_execute", delete_behind)
        with pytest.raises(DomainError, match="try again"):
            stored(services, b"content", "key")
        event.remove(services.get(Database).engine, "after_cursor_execute", delete_behind)

        assert stored(services, b"content", "key").id != file.id


def test_a_key_that_was_used_for_other_bytes_is_refused(services: svcs.Container) -> None:
    stored(services, b"content", "key")

    with pytest.raises(DomainError, match="another upload") as refused:
        stored(services, b"CONTENT", "key")

    assert refused.value.kind == "idempotency-key-reused"


def test_shared_bytes_are_kept_until_the_last_file_is_deleted(services: svcs.Container, tmp_path: Path) -> None:
    files = services.get(FileService)
    first, second = stored(services, b"content"), stored(services, b"content")
    blob = tmp_path / "blobs" / files.location(second)

    files.delete(LOCAL, first.id)

    assert files.open(second).read() == b"content"
    files.delete(LOCAL, second.id)
    assert not blob.exists()


@pytest.fixture
def statements(services: svcs.Container) -> list[str]:
    """Return the statements that read files, as they are executed."""
    executed = list[str]()

    def add(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM files" in statement:
            executed.append(statement)

    event.listen(services.get(Database).engine, "before_cursor_execute", add)
    return executed


def test_the_files_of_a_lookup_are_read_in_parts_on_demand(
    services: svcs.Container, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("file_storage.services.files.LOOKUP_PART", 2)
    ids = [stored(services, f"{number}".encode()).id for number in range(5)]
    statements.clear()

    found = services.get(FileService).looked_up(LOCAL, ids[::-1], [])

    assert next(found).id == ids[0]
    assert len(statements) == 1
    assert [file.id for file in found] == ids[1:]
    assert len(statements) == 3


def test_a_file_that_is_looked_up_by_id_and_by_digest_is_found_once(services: svcs.Container) -> None:
    first, _, third = (stored(services, content) for content in (b"first", b"second", b"third"))

    found = services.get(FileService).looked_up(LOCAL, [third.id, 999], [third.sha256, first.sha256, "0" * 64])

    assert [file.id for file in found] == [first.id, third.id]


def test_no_list_reads_the_comment_for_search(services: svcs.Container, statements: list[str]) -> None:
    files, trash, file = services.get(FileService), services.get(TrashService), stored(services, b"a", comment="Long")
    other = stored(services, b"b", comment="Other")
    trash.delete(LOCAL, other.id)
    statements.clear()

    shown = [*files.looked_up(LOCAL, [file.id], []), *files.page(LOCAL, FileFilter(), "", 9), *trash.page(LOCAL, "", 9)]

    assert [found.comment for found in shown] == ["Long", "Long", "Other"]
    assert len(statements) == 3
    assert "search_comment" not in "".join(statements)


def test_an_archive_holds_no_comments_while_it_is_sent(services: svcs.Container, statements: list[str]) -> None:
    files, sets, file = (
        services.get(FileService),
        services.get(SharedSets),
        stored(services, b"content", comment="Long"),
    )
    made = sets.create(LOCAL, NewSet([file.id], 60))
    statements.clear()

    sent = [*files.to_send(LOCAL, [file.id]), *files.chosen(LOCAL, FileFilter(), 9), *sets.files(sets.find(made.token))]

    assert [(found.id, found.name, found.size) for found in sent] == [(file.id, "a", 7)] * 3
    assert len(statements) == 3
    assert "comment" not in "".join(statements)
