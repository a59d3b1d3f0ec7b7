"""Files of other owners do not exist, except for principals that see all owners."""

from collections.abc import Callable
from io import BytesIO
from typing import get_args

import pytest
import svcs
from file_storage.services.files import FileService
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.listing import FileFilter, Sort
from file_storage.services.names import FileName
from file_storage.services.storing import NewCopy, StoringService
from file_storage.services.uploads import NewUpload, UploadService
from service_kit.access.principals import ALL_SCOPES, LOCAL, WRITER, Principal
from service_kit.errors import DomainError

from tests.support.stored import stored

BOB, ANN, ADMIN = Principal("bob", WRITER), Principal("ann", WRITER), Principal("root", ALL_SCOPES)


def new_upload(length: int | None, *, partial: bool = False) -> NewUpload:
    return NewUpload(length, FileName("a", ".bin"), "", "", partial=partial)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DomainError) as refused:
        act()
    return refused.value.kind


def test_a_file_belongs_to_whom_stores_it(services: svcs.Container) -> None:
    assert stored(services, b"content", principal=BOB).owner == "bob"
    assert stored(services, b"content", principal=LOCAL).owner == "local"


def test_a_file_of_another_owner_does_not_exist(services: svcs.Container) -> None:
    files, file = services.get(FileService), stored(services, b"content", principal=BOB)

    assert refusal(lambda: files.get(ANN, file.id)) == "file-not-found"
    assert refusal(lambda: files.change(ANN, file.id, "stolen", None)) == "file-not-found"
    assert refusal(lambda: files.delete(ANN, file.id)) == "file-not-found"
    assert files.existing(ANN, [file.id]) == []
    assert files.get(BOB, file.id).name == "a"


@pytest.mark.parametrize("sort", get_args(Sort))
def test_a_list_has_only_files_of_its_owner(services: svcs.Container, sort: str) -> None:
    of_ann = stored(services, b"content", principal=ANN)
    of_bob = stored(services, b"content", principal=BOB)
    files, wanted = services.get(FileService), FileFilter(sort=sort)  # type: ignore[arg-type]  # one of the sorts

    assert [file.id for file in files.page(ANN, wanted, "", 10)] == [of_ann.id]
    assert {file.id for file in files.page(ADMIN, wanted, "", 10)} == {of_ann.id, of_bob.id}


@pytest.mark.parametrize("principal", [ADMIN, LOCAL])
def test_who_sees_all_reads_changes_and_deletes_files_of_all(services: svcs.Container, principal: Principal) -> None:
    files, file = services.get(FileService), stored(services, b"content", principal=BOB)

    assert files.get(principal, file.id).owner == "bob"
    assert files.change(principal, file.id, "renamed", None).owner == "bob"
    assert [found.id for found in files.existing(principal, [file.id])] == [file.id]
    files.delete(principal, file.id)
    assert refusal(lambda: files.get(BOB, file.id)) == "file-not-found"


def test_a_copy_belongs_to_the_copier(services: svcs.Container) -> None:
    source = stored(services, b"content", principal=BOB)

    copy = services.get(StoringService).copy(ADMIN, NewCopy(source, FileName("copy", ".bin"), None))

    assert copy.owner == "root"


def test_each_owner_has_keys_of_its_own(services: svcs.Container) -> None:
    keys = services.get(IdempotencyKeys)
    of_bob = stored(services, b"of Bob", "key", BOB)

    of_ann = stored(services, b"of Ann", "key", ANN)

    assert (of_bob.owner, of_ann.owner) == ("bob", "ann")
    assert (keys.file(BOB, "key").id, keys.file(ANN, "key").id) == (of_bob.id, of_ann.id)
    assert stored(services, b"of Bob", "key", BOB).id == of_bob.id


def test_revoking_a_key_leaves_the_same_key_of_another_owner(services: svcs.Container) -> None:
    files, of_bob = services.get(FileService), stored(services, b"of Bob", "key", BOB)

    files.revoke(ANN, "key")

    assert files.get(BOB, of_bob.id).size == 6
    assert stored(services, b"of Bob", "key", BOB).id == of_bob.id
    assert refusal(lambda: stored(services, b"of Ann", "key", ANN)) == "idempotency-key-revoked"


def test_an_upload_of_another_owner_does_not_exist(services: svcs.Container) -> None:
    uploads = services.get(UploadService)
    upload = uploads.create(BOB, new_upload(4, partial=True)).upload
    uploads.append(BOB, upload.id, 0, None, BytesIO(b"part"), None)

    assert refusal(lambda: uploads.get(ANN, upload.id)) == "upload-not-found"
    assert refusal(lambda: uploads.append(ANN, upload.id, 4, None, BytesIO(b""), None)) == "upload-not-found"
    assert refusal(lambda: uploads.terminate(ANN, upload.id)) == "upload-not-found"
    assert refusal(lambda: uploads.concatenate(ANN, [upload.id], new_upload(None), "final;")) == "upload-not-found"


def test_an_upload_becomes_a_file_of_its_owner_even_if_another_completes_it(services: svcs.Container) -> None:
    uploads = services.get(UploadService)
    upload = uploads.create(BOB, new_upload(4)).upload

    finished = uploads.append(ADMIN, upload.id, 0, None, BytesIO(b"full"), None).upload

    assert services.get(FileService).get(BOB, finished.file_id or 0).owner == "bob"
