"""The trash: deleted files can be restored for a time, and appear nowhere else in the meantime."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import File
from file_storage.services import trash as trash_module
from file_storage.services.blobs import BlobService
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.links import LinkService, NewLink
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import NO_DETAILS, Details, StoringService
from file_storage.services.totals import fold, trashed
from file_storage.services.trash import TrashService
from file_storage.services.uploads import NewUpload, UploadService
from prometheus_client.registry import Collector
from service_kit.access.principals import ALL_SCOPES, LOCAL, WRITER, Limits, Principal
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError
from service_kit.settings import load
from sqlalchemy import event, func, select, text, update
from structlog.testing import capture_logs

from tests.support.databases import migrated_postgres_database
from tests.support.stored import stored

pytestmark = pytest.mark.slow

BOB, ANN, ADMIN = Principal("bob", WRITER), Principal("ann", WRITER), Principal("root", ALL_SCOPES)
DAY = 86_400


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with migrated_postgres_database("trash", "file_storage") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def services(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[svcs.Container]:
    """Return services whose trash keeps files for a day."""
    if request.param == "postgresql":
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", request.getfixturevalue("postgresql"))
    monkeypatch.setenv("FILE_STORAGE_TRASH__SECONDS", str(DAY))
    container = svcs.Container(create_registry(load(Settings)))
    yield container
    with container.get(Database).begin() as connection:
        connection.execute(text("DELETE FROM files"))
        connection.execute(text("UPDATE blobs SET file_count = 0"))


@pytest.fixture
def trash(services: svcs.Container) -> TrashService:
    return services.get(TrashService)


def with_seconds(monkeypatch: pytest.MonkeyPatch, seconds: int) -> svcs.Container:
    """Return services on the same database with another setting."""
    monkeypatch.setenv("FILE_STORAGE_TRASH__SECONDS", str(seconds))
    return svcs.Container(create_registry(load(Settings)))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DomainError) as refused:
        act()
    return refused.value.kind


def age(services: svcs.Container, seconds: float, *files: File) -> None:
    """Move the deletion of these files this far into the past."""
    with services.get(Database).write() as session:
        these = update(File).where(File.id.in_([file.id for file in files]))
        session.execute(these.values(deleted_at=File.deleted_at - seconds))


def ids_in_trash(services: svcs.Container, principal: Principal = LOCAL) -> list[int]:
    return [file.id for file in services.get(TrashService).page(principal, "", 100)]


def listed(services: svcs.Container, principal: Principal = LOCAL) -> list[int]:
    return [file.id for file in services.get(FileService).page(principal, FileFilter(), "", 100)]


def test_a_deleted_file_is_gone_until_it_is_restored(services: svcs.Container, trash: TrashService) -> None:
    files, file = services.get(FileService), stored(services, b"content")

    trash.delete(LOCAL, file.id)
    while_deleted = refusal(lambda: files.get(LOCAL, file.id))
    restored = trash.restore(LOCAL, [file.id])

    assert while_deleted == "file-not-found"
    assert restored == [file.id]
    assert files.open(files.get(LOCAL, file.id)).read() == b"content"
    assert ids_in_trash(services) == []


def test_deletion_and_restoration_are_not_changes_of_the_file(services: svcs.Container, trash: TrashService) -> None:
    file = stored(services, b"content")
    with services.get(Database).write() as session:
        session.execute(update(File).values(updated_at=1000.0))

    trash.delete(LOCAL, file.id)
    trash.restore(LOCAL, [file.id])

    assert services.get(FileService).get(LOCAL, file.id).updated_at == 1000.0


def test_a_file_is_deleted_once(services: svcs.Container, trash: TrashService) -> None:
    file = stored(services, b"content")
    trash.delete(LOCAL, file.id)

    assert refusal(lambda: trash.delete(LOCAL, file.id)) == "file-not-found"
    assert trash.delete_all(LOCAL, [file.id]) == ([], False, None)


@pytest.mark.parametrize("file_id", [0, -1, 2**63, 999_999])
def test_what_no_file_can_be_is_not_found(trash: TrashService, file_id: int) -> None:
    assert refusal(lambda: trash.delete(LOCAL, file_id)) == "file-not-found"


def test_without_a_trash_a_deletion_is_for_good(
    services: svcs.Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second, third = (stored(services, content) for content in (b"one", b"two", b"three"))
    at_once = with_seconds(monkeypatch, 0)
    trash = at_once.get(TrashService)

    trash.delete(LOCAL, first.id)
    deleted = trash.delete_all(LOCAL, [second.id])
    matching = trash.delete_matching(LOCAL, FileFilter(size_min=5))

    assert (deleted, matching) == (([second.id], False, None), ([third.id], False, None))
    assert trash.restore(LOCAL, [first.id, second.id, third.id]) == []
    assert not any(path.is_file() for path in (tmp_path / "blobs").rglob("*"))


def test_many_are_deleted_by_their_ids_and_can_be_restored_until_the_same_time(
    services: svcs.Container, trash: TrashService
) -> None:
    files = [stored(services, b"content") for _ in range(3)]
    ids = [file.id for file in files]
    with services.get(Database).connect() as connection:
        before = connection.scalar(select(epoch_now())) or 0.0

    deleted = trash.delete_all(LOCAL, [*reversed(ids), ids[0], 999_999])

    assert (deleted.ids, deleted.more) == (ids, False)
    assert before + DAY <= (deleted.restore_until or 0.0) < before + DAY + 600
    assert {trash.restore_until(file) for file in trash.page(LOCAL, "", 10)} == {deleted.restore_until}


def test_a_filter_deletes_what_a_list_with_it_has(services: svcs.Container, trash: TrashService) -> None:
    sizes = {stored(services, b"x" * size).id: size for size in (1, 5, 9, 7)}
    wanted = FileFilter(size_min=5, size_max=8)
    matching = [file.id for file in services.get(FileService).page(LOCAL, wanted, "", 10)]

    deleted = trash.delete_matching(LOCAL, wanted)

    assert deleted.ids == matching == [file_id for file_id, size in sizes.items() if size in (5, 7)]
    assert listed(services) == [file_id for file_id, size in sizes.items() if size in (1, 9)]


@pytest.mark.parametrize("seconds", [DAY, 0])
def test_a_file_that_no_longer_matches_the_filter_is_kept(
    services: svcs.Container, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """A file that was found, and then moved to another folder before it was locked."""
    old, moved = (stored(services, b"content", details=Details("old")) for _ in range(2))
    chosen, not_yet = with_seconds(monkeypatch, seconds), [moved.id]

    def move(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT files.id") and not_yet:
            services.get(FileService).change(LOCAL, not_yet.pop(), None, None, folder="kept")

    event.listen(chosen.get(Database).engine, "after_cursor_execute", move)
    deleted = chosen.get(TrashService).delete_matching(LOCAL, FileFilter(folder="old"))

    assert not_yet == []
    assert deleted.ids == [old.id]
    assert services.get(FileService).get(LOCAL, moved.id).folder == "kept"


def test_steps_of_any_size_delete_and_empty_everything(
    services: svcs.Container, trash: TrashService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash_module, "MOVED_AT_ONCE", 2)
    monkeypatch.setattr(trash_module, "REMOVED_AT_ONCE", 2)
    ids = [stored(services, str(number).encode()).id for number in range(5)]

    by_ids = trash.delete_all(LOCAL, ids[:3])
    by_filter = trash.delete_matching(LOCAL, FileFilter(size_min=0))
    restored = trash.restore(LOCAL, ids)
    trash.delete_all(LOCAL, ids)
    some = trash.empty(LOCAL, ids[:3])
    rest = trash.empty(LOCAL, None)

    assert (by_ids.ids, by_filter.ids, restored) == (ids[:3], ids[3:], ids)
    assert (some, rest) == ((3, False), (2, False))


def test_a_request_that_ends_early_says_so_and_can_be_repeated(
    services: svcs.Container, trash: TrashService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [stored(services, str(number).encode()).id for number in range(5)]
    monkeypatch.setattr(trash_module, "MOVED_AT_ONCE", 2)
    monkeypatch.setattr(trash_module, "REMOVED_AT_ONCE", 2)
    monkeypatch.setattr(trash_module, "MAX_FILES", 3)

    first = trash.delete_matching(LOCAL, FileFilter(size_min=0))
    second = trash.delete_matching(LOCAL, FileFilter(size_min=0))
    emptied = [trash.empty(LOCAL, None), trash.empty(LOCAL, None)]

    assert (first.ids, first.more, second.ids, second.more) == (ids[:4], True, ids[4:], False)
    assert emptied == [(4, True), (1, False)]


def test_a_request_that_takes_long_ends_before_it_is_given_up(
    services: svcs.Container, trash: TrashService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [stored(services, str(number).encode()).id for number in range(3)]
    monkeypatch.setattr(trash_module, "MOVED_AT_ONCE", 1)
    monkeypatch.setattr(trash_module, "REMOVED_AT_ONCE", 1)
    monkeypatch.setattr(trash_module, "MAX_SECONDS", 0.0)

    deleted = [trash.delete_all(LOCAL, ids)[:2] for _ in range(2)]
    emptied = [trash.empty(LOCAL, ids) for _ in range(2)]

    assert deleted == [(ids[:1], True), (ids[1:2], True)]
    assert emptied == [(1, True), (1, True)]


def test_requests_at_the_same_time_delete_and_remove_each_file_once(
    services: svcs.Container, trash: TrashService
) -> None:
    ids = [stored(services, content).id for content in (b"one", b"two") for _ in range(10)]

    with ThreadPoolExecutor(4) as requests:
        deleted = list(requests.map(lambda _: trash.delete_all(LOCAL, ids).ids, range(4)))
        emptied = list(requests.map(lambda _: trash.empty(LOCAL, ids).removed, range(4)))

    assert sorted(file_id for part in deleted for file_id in part) == ids
    assert sum(emptied) == len(ids)
    assert services.get(Fsck).run(0, read_bytes=False).miscounted == 0


def test_the_trash_lists_the_last_deleted_first_in_pages(services: svcs.Container, trash: TrashService) -> None:
    ids = [stored(services, b"content").id for _ in range(5)]
    trash.delete_all(LOCAL, [ids[1], ids[3]])
    for file_id in (ids[4], ids[0]):
        trash.delete(LOCAL, file_id)
    for older, file_id in enumerate((ids[0], ids[4], ids[3], ids[1])):
        age(services, 10 * max(1, min(older, 2)), File(id=file_id))

    pages, after = [], ""
    while page := trash.page(LOCAL, after, 3):
        pages.append([file.id for file in page])
        after = trash.cursor(page[-1])

    assert pages == [[ids[0], ids[4], ids[3]], [ids[1]]]


@pytest.mark.parametrize("cursor", ["1", "x", "_", "1.5_", "1_2_3", "1.0_99999999999999999999"])
def test_a_wrong_cursor_is_refused(trash: TrashService, cursor: str) -> None:
    assert refusal(lambda: trash.page(LOCAL, cursor, 3)) == "page-not-found"


def test_the_trash_of_another_owner_does_not_exist(services: svcs.Container, trash: TrashService) -> None:
    of_bob, present = stored(services, b"content", principal=BOB), stored(services, b"present", principal=BOB)
    trash.delete(BOB, of_bob.id)

    assert refusal(lambda: trash.delete(ANN, present.id)) == "file-not-found"
    assert trash.delete_all(ANN, [present.id]).ids == []
    assert trash.delete_matching(ANN, FileFilter(size_min=0)).ids == []
    assert trash.restore(ANN, [of_bob.id]) == []
    assert trash.empty(ANN, [of_bob.id]) == trash.empty(ANN, None) == (0, False)
    assert ids_in_trash(services, ANN) == []
    assert (ids_in_trash(services, BOB), listed(services, BOB)) == ([of_bob.id], [present.id])


def test_who_sees_all_restores_for_all(services: svcs.Container, trash: TrashService) -> None:
    file = stored(services, b"content", principal=BOB)
    trash.delete(ADMIN, file.id)

    assert ids_in_trash(services, ADMIN) == ids_in_trash(services, BOB) == [file.id]
    assert trash.restore(ADMIN, [file.id]) == [file.id]
    assert services.get(FileService).get(BOB, file.id).owner == "bob"


def test_the_time_in_the_trash_ends(services: svcs.Container, trash: TrashService) -> None:
    over, young = stored(services, b"over"), stored(services, b"young")
    trash.delete_all(LOCAL, [over.id, young.id])
    age(services, DAY + 1, over)
    age(services, DAY - 600, young)

    assert ids_in_trash(services) == [young.id]
    assert trash.restore(LOCAL, [over.id, young.id]) == [young.id]


def test_gc_removes_what_is_over_and_the_bytes_that_nobody_else_has(
    services: svcs.Container, trash: TrashService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash_module, "REMOVED_AT_ONCE", 2)
    over = [stored(services, content) for content in (b"one", b"two", b"shared")]
    kept, young = stored(services, b"shared"), stored(services, b"young")
    trash.delete_all(LOCAL, [*(file.id for file in over), young.id])
    age(services, DAY + 1, *over)

    assert trash.collect_garbage() == 3

    names = {path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()}
    assert names == {kept.sha256, young.sha256}
    assert ids_in_trash(services) == [young.id]


def test_a_shorter_setting_applies_to_what_was_deleted_before(
    services: svcs.Container, trash: TrashService, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stored(services, b"content")
    trash.delete(LOCAL, file.id)

    at_once = with_seconds(monkeypatch, 0)

    assert ids_in_trash(at_once) == []
    assert at_once.get(TrashService).collect_garbage() == 1


def test_an_upload_without_room_removes_what_is_over(
    services: svcs.Container, trash: TrashService, tmp_path: Path
) -> None:
    over = stored(services, b"over")
    trash.delete(LOCAL, over.id)
    age(services, DAY + 1, over)

    services.get(StoringService).check_room(Principal(LOCAL.owner, WRITER, limits=Limits(bytes=1)), 1)

    assert not list((tmp_path / "blobs").rglob(over.sha256))


def test_the_bytes_stay_while_a_file_in_the_trash_has_them(services: svcs.Container, trash: TrashService) -> None:
    files = services.get(FileService)
    first, second = stored(services, b"content"), stored(services, b"content")
    trash.delete(LOCAL, first.id)

    files.delete(LOCAL, second.id)
    collected = services.get(BlobService).collect_garbage(0)
    trash.restore(LOCAL, [first.id])

    assert collected == 0
    assert files.open(first).read() == b"content"


def test_the_same_bytes_are_uploaded_as_a_file_of_their_own(services: svcs.Container, trash: TrashService) -> None:
    first = stored(services, b"content")
    trash.delete(LOCAL, first.id)

    second = stored(services, b"content")
    trash.empty(LOCAL, None)

    assert services.get(FileService).open(second).read() == b"content"


def test_the_first_of_equal_files_is_one_that_is_present(services: svcs.Container, trash: TrashService) -> None:
    first, second = stored(services, b"content"), stored(services, b"content")
    trash.delete(LOCAL, first.id)

    found = services.get(FileService).with_digests(LOCAL, [first.sha256])

    assert found == [second.id]


def test_a_key_forgets_a_file_in_the_trash(services: svcs.Container, trash: TrashService) -> None:
    keys, first = services.get(IdempotencyKeys), stored(services, b"content", "key")
    trash.delete(LOCAL, first.id)

    while_deleted = refusal(lambda: keys.file(LOCAL, "key"))
    second = stored(services, b"other content", "key")
    trash.restore(LOCAL, [first.id])

    assert while_deleted == "file-not-found"
    assert second.id != first.id
    assert keys.file(LOCAL, "key").id == second.id


def test_an_upload_forgets_a_file_in_the_trash(services: svcs.Container, trash: TrashService) -> None:
    uploads = services.get(UploadService)
    upload = uploads.create(LOCAL, NewUpload(0, FileName("a", ".bin"), "", "", partial=False)).upload

    trash.delete(LOCAL, upload.file_id or 0)

    assert uploads.get(LOCAL, upload.id).upload.file_id is None


def test_a_revoked_key_deletes_its_file_for_good(services: svcs.Container, trash: TrashService) -> None:
    file = stored(services, b"content", "key")

    services.get(FileService).revoke(LOCAL, "key")

    assert trash.restore(LOCAL, [file.id]) == []


def test_a_link_works_again_when_its_file_is_restored(services: svcs.Container, trash: TrashService) -> None:
    links, file = services.get(LinkService), stored(services, b"content")
    link, token = links.create(LOCAL, file, NewLink(60))
    trash.delete(LOCAL, file.id)

    while_deleted = refusal(lambda: links.file(token))
    listed_while_deleted = list(links.page(LOCAL, 0, 10))
    refused = refusal(lambda: links.create(LOCAL, file, NewLink(60)))
    trash.restore(LOCAL, [file.id])

    assert (while_deleted, listed_while_deleted, refused) == ("link-not-found", [], "file-not-found")
    assert links.file(token).file.id == file.id
    assert [entry.link.id for entry in links.page(LOCAL, 0, 10)] == [link.id]


def test_files_in_the_trash_count_towards_the_quota_until_it_is_emptied(
    services: svcs.Container, trash: TrashService
) -> None:
    limited = Principal("limited", WRITER, limits=Limits(bytes=10, files=1))
    first = stored(services, b"x" * 10, principal=limited)
    trash.delete(limited, first.id)

    refused = refusal(lambda: stored(services, b"y", principal=limited))
    trash.empty(limited, [first.id])

    assert refused == "quota-exceeded"
    assert stored(services, b"y" * 10, principal=limited).size == 10


def test_the_totals_of_the_trash_are_those_of_its_rows(services: svcs.Container, trash: TrashService) -> None:
    def assert_correct() -> None:
        with services.get(Database).connect() as connection:
            rows = select(func.count(), func.coalesce(func.sum(File.size), 0)).where(File.deleted_at.is_not(None))
            assert trashed(connection) == connection.execute(rows).first()

    ids = [stored(services, b"x" * size).id for size in (1, 10, 100, 1000)]
    assert_correct()
    trash.delete_all(LOCAL, ids[:3])
    assert_correct()
    trash.restore(LOCAL, ids[:1])
    assert_correct()
    services.get(FileService).delete(LOCAL, ids[3])
    trash.empty(LOCAL, ids[1:2])
    fold(services.get(Database))
    assert_correct()
    with services.get(Database).connect() as connection:
        assert trashed(connection) == (1, 100)


def test_metrics_say_how_much_is_in_the_trash(services: svcs.Container, trash: TrashService) -> None:
    def sampled() -> dict[str, float]:
        return {sample.name: sample.value for metric in services.get(Collector).collect() for sample in metric.samples}

    ids = [stored(services, content).id for content in (b"12345", b"123", b"12345")]
    before = sampled()

    trash.delete_all(LOCAL, [ids[0], ids[2]])

    after = sampled()
    assert after["pixmill_trashed_files"] - before["pixmill_trashed_files"] == 2
    assert after["pixmill_trashed_bytes"] - before["pixmill_trashed_bytes"] == 10
    assert after["pixmill_files"] == before["pixmill_files"]
    assert after["pixmill_stored_bytes"] == before["pixmill_stored_bytes"]


def test_fsck_finds_nothing_wrong_with_the_trash(services: svcs.Container, trash: TrashService) -> None:
    trash.delete(LOCAL, stored(services, b"content").id)

    report = services.get(Fsck).run(0, read_bytes=True)

    assert (report.lost, report.miscounted, report.orphans) == (0, 0, 0)


def test_fsck_says_which_lost_files_are_in_the_trash(
    services: svcs.Container, trash: TrashService, tmp_path: Path
) -> None:
    first, second = stored(services, b"content"), stored(services, b"content")
    trash.delete(LOCAL, first.id)
    [blob] = (tmp_path / "blobs").rglob(first.sha256)
    blob.unlink()

    with capture_logs() as lines:
        services.get(Fsck).run(0, read_bytes=True)

    [line] = [line for line in lines if line["event"] == "blob lost"]
    assert (line["file_ids"], line["trashed_ids"]) == ([second.id], [first.id])


def test_a_file_that_has_expired_in_the_trash_is_not_restored(services: svcs.Container, trash: TrashService) -> None:
    file = stored(services, b"content", details=Details(expires_in=60))
    trash.delete(LOCAL, file.id)
    [listed_before] = trash.page(LOCAL, "", 10)
    with services.get(Database).write() as session:
        session.execute(update(File).values(expires_at=1.0, updated_at=File.updated_at))

    assert trash.restore_until(listed_before) == listed_before.expires_at
    assert ids_in_trash(services) == []
    assert trash.restore(LOCAL, [file.id]) == []


def test_many_can_be_restored_until_the_first_of_them_expires(services: svcs.Container, trash: TrashService) -> None:
    files = [stored(services, b"content", details=details) for details in (NO_DETAILS, Details(expires_in=60))]

    deleted = trash.delete_all(LOCAL, [file.id for file in files])

    assert deleted.restore_until == files[1].expires_at
