"""An expired file does not exist for anybody, and housekeeping deletes it with its bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import svcs
from file_storage.models import File
from file_storage.services.expiry import EXPIRE_BATCH, ExpiryService
from file_storage.services.files import FileService
from file_storage.services.links import LinkService, NewLink
from file_storage.services.listing import FileFilter
from file_storage.services.storing import Details, StoringService
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import update

from tests.support.stored import stored

FOR_AN_HOUR = Details(expires_in=3600)


def let_expire(services: svcs.Container, file: File) -> None:
    with services.get(Database).begin() as connection:
        connection.execute(update(File).where(File.id == file.id).values(expires_at=1))


def test_a_file_expires_this_many_seconds_after_it_was_stored(services: svcs.Container) -> None:
    file = stored(services, b"content", details=FOR_AN_HOUR)

    assert file.expires_at is not None
    assert file.expires_at - file.created_at == pytest.approx(3600, abs=1)


def test_a_file_without_an_end_stays(services: svcs.Container) -> None:
    file = stored(services, b"content")

    assert file.expires_at is None
    assert services.get(ExpiryService).collect_garbage() == 0


@pytest.mark.parametrize(
    "find",
    [
        lambda files, file: files.get(LOCAL, file.id),
        lambda files, file: files.change(LOCAL, file.id, "new", None),
        lambda files, file: files.delete(LOCAL, file.id),
    ],
)
def test_an_expired_file_is_not_found(services: svcs.Container, find: Callable[[FileService, File], object]) -> None:
    file = stored(services, b"content", details=FOR_AN_HOUR)
    let_expire(services, file)

    with pytest.raises(DomainError) as refused:
        find(services.get(FileService), file)

    assert refused.value.kind == "file-not-found"


def test_no_list_has_an_expired_file(services: svcs.Container) -> None:
    files, file = services.get(FileService), stored(services, b"content", details=FOR_AN_HOUR)
    let_expire(services, file)

    assert files.page(LOCAL, FileFilter(), "", 10) == []
    assert list(files.index(LOCAL, FileFilter())) == [[]]
    assert files.existing(LOCAL, [file.id]) == []
    assert files.with_digests(LOCAL, [file.sha256]) == []


def test_no_link_leads_to_an_expired_file(services: svcs.Container) -> None:
    links, file = services.get(LinkService), stored(services, b"content", details=FOR_AN_HOUR)
    _, token = links.create(LOCAL, file, NewLink(60))
    let_expire(services, file)

    with pytest.raises(DomainError) as refused:
        links.file(token)

    assert refused.value.kind == "link-not-found"


def test_equal_bytes_are_found_in_a_file_that_stays(services: svcs.Container) -> None:
    let_expire(services, stored(services, b"content", details=FOR_AN_HOUR))
    second = stored(services, b"content")

    found = services.get(FileService).with_digests(LOCAL, [second.sha256])

    assert found == [second.id]


def test_the_bytes_go_with_the_last_file(services: svcs.Container, tmp_path: Path) -> None:
    files, kept = services.get(FileService), stored(services, b"kept")
    expired, shared = stored(services, b"gone", details=FOR_AN_HOUR), stored(services, b"kept", details=FOR_AN_HOUR)
    blob = tmp_path / "blobs" / files.location(expired)
    let_expire(services, expired)
    let_expire(services, shared)

    assert services.get(ExpiryService).collect_garbage() == 2

    assert not blob.exists()
    assert files.open(files.get(LOCAL, kept.id)).read() == b"kept"


def test_one_removal_removes_a_limited_number(services: svcs.Container) -> None:
    for _ in range(EXPIRE_BATCH + 1):
        stored(services, b"content", details=FOR_AN_HOUR)
    with services.get(Database).begin() as connection:
        connection.execute(update(File).values(expires_at=1))

    assert services.get(ExpiryService).expire() == EXPIRE_BATCH
    assert services.get(ExpiryService).expire() == 1


def test_a_key_whose_file_has_expired_and_is_removed_makes_a_new_file(services: svcs.Container) -> None:
    first = stored(services, b"content", "key", details=FOR_AN_HOUR)
    let_expire(services, first)
    services.get(ExpiryService).expire()

    assert stored(services, b"content", "key", details=FOR_AN_HOUR).id != first.id


def test_what_has_expired_makes_room_in_a_quota(services: svcs.Container) -> None:
    bob = Principal("bob", WRITER, limits=Limits(bytes=10))
    let_expire(services, stored(services, b"7 bytes", principal=bob, details=FOR_AN_HOUR))

    services.get(StoringService).check_room(bob, 7)

    assert stored(services, b"another", principal=bob).size == 7


def test_a_key_whose_file_has_expired_makes_a_new_file_before_the_old_one_is_removed(services: svcs.Container) -> None:
    first = stored(services, b"content", "key", details=FOR_AN_HOUR)
    let_expire(services, first)

    second = stored(services, b"content", "key", details=FOR_AN_HOUR)

    assert second.id != first.id
    assert stored(services, b"content", "key", details=FOR_AN_HOUR).id == second.id
