"""Resumable uploads, also those that a crash interrupts."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import Upload
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.services.promises import Promises
from file_storage.services.uploads import NewUpload, UploadService
from file_storage.storage.partial import PartialFiles, UploadBusyError
from service_kit.access.principals import LOCAL, WRITER, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.languages import translated
from service_kit.settings import load
from sqlalchemy import update

from tests.support.resumable import complete_but_no_file_yet, create, let_expire

ANN = Principal("ann", WRITER)


@pytest.fixture
def uploads(services: svcs.Container) -> UploadService:
    return services.get(UploadService)


def test_an_owner_has_at_most_a_number_of_unfinished_uploads(settings: Settings) -> None:
    limited = settings.model_copy(update={"upload": settings.upload.model_copy(update={"max_unfinished": 2})})
    services = svcs.Container(create_registry(limited))
    uploads = services.get(UploadService)
    new = NewUpload(None, FileName("a", ".bin"), "", "", partial=False)
    first = uploads.create(ANN, new).upload
    part = uploads.create(ANN, replace(new, length=0, partial=True)).upload

    with pytest.raises(DomainError, match="at most 2 unfinished uploads") as refused:
        uploads.create(ANN, new)
    uploads.create(LOCAL, new)
    uploads.append(ANN, first.id, 0, 4, BytesIO(b"full"), None)
    uploads.create(ANN, new)
    uploads.terminate(ANN, part.id)
    uploads.create(ANN, new)
    with pytest.raises(DomainError, match="at most 2"):
        uploads.create(ANN, new)
    let_expire(services)
    uploads.create(ANN, new)

    assert (refused.value.kind, translated(refused.value.detail, "ru")) == (
        "too-many-uploads",
        "У владельца «ann» может быть не больше 2 незавершённых загрузок; завершите или удалите одну из них.",
    )


def test_room_promised_to_other_requests_does_not_count_as_unfinished_uploads(settings: Settings) -> None:
    limited = settings.model_copy(update={"upload": settings.upload.model_copy(update={"max_unfinished": 1})})
    services = svcs.Container(create_registry(limited))

    with services.get(Promises).promised(ANN, 1000), services.get(Promises).promised(ANN, 1000):
        upload = NewUpload(None, FileName("a", ".bin"), "", "", partial=False)
        created = services.get(UploadService).create(ANN, upload).upload

    assert not created.finished


def test_received_bytes_and_their_name_are_durable(uploads: UploadService, tmp_path: Path) -> None:
    synced, fsync = [], os.fsync

    def sync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    with patch("os.fsync", sync):
        upload = create(uploads, 10)
        uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"half"), None)

    folder = tmp_path / "uploads"
    assert synced == [str(folder), str(folder / upload.id)]


@pytest.mark.parametrize("offset", [0, 3, 5])
def test_bytes_at_another_offset_are_refused_and_discarded(
    services: svcs.Container, uploads: UploadService, offset: int
) -> None:
    upload = create(uploads, 8)
    uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"half"), None)

    with pytest.raises(DomainError, match="has 4 bytes") as refused:
        uploads.append(LOCAL, upload.id, offset, None, BytesIO(b"HALF"), None)

    assert refused.value.kind == "offset-mismatch"
    finished = uploads.append(LOCAL, upload.id, 4, None, BytesIO(b"rest"), None).upload
    files = services.get(FileService)
    assert files.open(files.get(LOCAL, finished.file_id or 0)).read() == b"halfrest"


def test_a_length_below_the_received_bytes_is_refused_and_changes_nothing(uploads: UploadService) -> None:
    upload = create(uploads, None)
    uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"12345"), None)

    with pytest.raises(DomainError) as refused:
        uploads.append(LOCAL, upload.id, 5, 3, BytesIO(b""), None)

    assert refused.value.kind == "invalid-upload-length"
    found = uploads.get(LOCAL, upload.id)
    assert (found.offset, found.upload.length, found.upload.finished) == (5, None, False)


def test_the_length_may_equal_the_received_bytes(uploads: UploadService) -> None:
    upload = create(uploads, None)
    uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"12345"), None)

    done = uploads.append(LOCAL, upload.id, 5, 5, BytesIO(b""), None)

    assert (done.upload.length, done.upload.finished) == (5, True)


def test_appending_bytes_postpones_the_expiry(services: svcs.Container, uploads: UploadService) -> None:
    upload = create(uploads, 10)
    with services.get(Database).write() as session:
        session.execute(update(Upload).values(expires_at=upload.expires_at - 80_000))

    later = uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"half"), None).upload

    assert later.expires_at >= upload.expires_at


def test_an_upload_whose_last_request_was_interrupted_becomes_a_file_when_it_is_read(
    services: svcs.Container, uploads: UploadService, tmp_path: Path
) -> None:
    upload = complete_but_no_file_yet(uploads, tmp_path)

    finished = uploads.get(LOCAL, upload.id).upload

    assert finished.file_id is not None
    files = services.get(FileService)
    assert files.open(files.get(LOCAL, finished.file_id)).read() == b"full"


def test_repeated_interruptions_of_the_last_request_make_only_one_file(
    services: svcs.Container, uploads: UploadService, tmp_path: Path
) -> None:
    upload = complete_but_no_file_yet(uploads, tmp_path)
    first = uploads.get(LOCAL, upload.id).upload
    with services.get(Database).write() as session:
        session.execute(update(Upload).values(file_id=None, finished=False))
    (tmp_path / "uploads" / upload.id).write_bytes(b"full")

    second = uploads.get(LOCAL, upload.id).upload

    assert second.file_id == first.file_id


def test_repeated_concatenation_of_the_same_parts_makes_only_one_file(uploads: UploadService) -> None:
    part = uploads.create(LOCAL, NewUpload(4, FileName("part", ""), "", "", partial=True)).upload
    uploads.append(LOCAL, part.id, 0, None, BytesIO(b"part"), None)
    whole = NewUpload(None, FileName("whole", ".bin"), "", "", partial=False)
    other = NewUpload(None, FileName("other", ".bin"), "", "", partial=False)

    first, again, another = (
        uploads.concatenate(LOCAL, [part.id], new, f"final;{part.id}") for new in (whole, whole, other)
    )

    assert again.id != first.id
    assert again.file_id == first.file_id
    assert another.file_id != first.file_id


@pytest.mark.slow
def test_an_upload_can_be_read_while_it_becomes_a_file(uploads: UploadService, tmp_path: Path) -> None:
    for _ in range(20):
        upload = complete_but_no_file_yet(uploads, tmp_path)

        with ThreadPoolExecutor(8) as clients:
            seen = list(clients.map(lambda _, upload_id=upload.id: uploads.get(LOCAL, upload_id), range(24)))

        assert {offset for _, offset in seen} == {4}
        assert uploads.get(LOCAL, upload.id).upload.finished


def test_an_upload_takes_one_writer_at_a_time(services: svcs.Container, uploads: UploadService) -> None:
    upload = create(uploads, 10)

    with services.get(PartialFiles).hold(upload.id), pytest.raises(UploadBusyError):
        uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"x"), None)

    assert uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"x"), None).offset == 1


def test_the_quota_is_checked_when_an_upload_is_created(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", "100")
    limited = svcs.Container(create_registry(load(type(settings)))).get(UploadService)

    with pytest.raises(DomainError, match="100 bytes"):
        create(limited, 101)
