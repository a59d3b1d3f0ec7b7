"""Resumable uploads that expire."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import File, Upload
from file_storage.services import upload_expiry
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.services.upload_expiry import UploadExpiry
from file_storage.services.uploads import NewUpload, UploadService
from service_kit.access.principals import LOCAL, Limits
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.settings import load
from sqlalchemy import select, update

from tests.support.resumable import complete_but_no_file_yet, create, let_expire
from tests.support.stored import stored, unlimited


@pytest.fixture
def uploads(services: svcs.Container) -> UploadService:
    return services.get(UploadService)


def test_an_expired_upload_is_removed(services: svcs.Container, uploads: UploadService, tmp_path: Path) -> None:
    upload = create(uploads, 10)
    uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"half"), None)
    let_expire(services)

    with pytest.raises(DomainError, match="expired") as gone:
        uploads.get(LOCAL, upload.id)
    removed = services.get(UploadExpiry).expire(unlimited)

    assert (gone.value.kind, removed) == ("upload-expired", 1)
    assert list((tmp_path / "uploads").iterdir()) == []
    with pytest.raises(DomainError, match="no such upload"):
        uploads.get(LOCAL, upload.id)


def test_an_expired_upload_whose_key_was_revoked_is_removed_and_makes_no_file(
    services: svcs.Container, uploads: UploadService, tmp_path: Path
) -> None:
    services.get(FileService).revoke(LOCAL, "key-1")
    metadata = f"idempotency_key {b64encode(b'key-1').decode()}"
    new = NewUpload(4, FileName("a", ".bin"), "", metadata, partial=False)
    upload = uploads.create(LOCAL, new).upload
    with pytest.raises(DomainError, match="revoked"):
        uploads.append(LOCAL, upload.id, 0, None, BytesIO(b"full"), None)
    let_expire(services)

    removed = services.get(UploadExpiry).expire(unlimited)

    assert removed == 1
    assert list((tmp_path / "uploads").iterdir()) == []
    with services.get(Database).read() as session:
        assert session.scalars(select(File)).all() == []


def test_an_upload_whose_last_request_was_interrupted_becomes_a_file_when_it_expires(
    services: svcs.Container, uploads: UploadService, tmp_path: Path
) -> None:
    complete_but_no_file_yet(uploads, tmp_path)
    let_expire(services)

    services.get(UploadExpiry).collect_garbage(0, unlimited)

    assert services.get(FileService).get(LOCAL, 1).size == 4
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_that_would_exceed_its_owners_files_stays_when_it_expires(
    services: svcs.Container, uploads: UploadService, tmp_path: Path
) -> None:
    stored(services, b"the only file")
    complete_but_no_file_yet(uploads, tmp_path)
    let_expire(services)

    removed = services.get(UploadExpiry).expire(lambda owner: Limits(files={LOCAL.owner: 1}[owner]))

    assert removed == 0
    with services.get(Database).read() as session:
        assert session.scalars(select(File.size)).all() == [13]
        assert session.scalars(select(Upload.finished)).all() == [False]


def test_uploads_that_cannot_become_files_delay_no_other_removal(
    services: svcs.Container, uploads: UploadService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_expiry, "EXPIRE_BATCH", 2)
    for _ in range(2):
        complete_but_no_file_yet(uploads, tmp_path)
    let_expire(services)
    create(uploads, 10)
    with services.get(Database).write() as session:
        session.execute(update(Upload).where(Upload.length == 10).values(expires_at=1))
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", "1")
    full = svcs.Container(create_registry(load(Settings))).get(UploadExpiry)

    removed = full.collect_garbage(0, unlimited)

    assert removed == 1
    with services.get(Database).read() as session:
        assert session.scalars(select(Upload.length)).all() == [4, 4]


def test_an_upload_whose_bytes_cannot_be_read_delays_no_other_removal(
    services: svcs.Container, uploads: UploadService, tmp_path: Path
) -> None:
    unreadable = create(uploads, 4)
    (tmp_path / "uploads" / unreadable.id).unlink()
    (tmp_path / "uploads" / unreadable.id).mkdir()
    let_expire(services)
    create(uploads, 10)
    with services.get(Database).write() as session:
        session.execute(update(Upload).where(Upload.length == 10).values(expires_at=1))

    services.get(UploadExpiry).expire(unlimited)

    with services.get(Database).read() as session:
        assert session.scalars(select(Upload.length)).all() == [4]


def test_bytes_without_an_upload_are_removed(services: svcs.Container, uploads: UploadService, tmp_path: Path) -> None:
    kept = create(uploads, 10)
    (tmp_path / "uploads/left").write_bytes(b"left")

    assert services.get(UploadExpiry).collect_garbage(0, unlimited) == 1
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [kept.id]
