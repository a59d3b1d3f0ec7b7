"""Resumable uploads in the states between their requests, for file-storage's own tests."""

from pathlib import Path

import svcs
from file_storage.models import Upload
from file_storage.services.names import FileName
from file_storage.services.uploads import NewUpload, UploadService
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from sqlalchemy import update


def create(uploads: UploadService, length: int | None) -> Upload:
    """Create an upload without bytes; without a length, the client sends it later."""
    return uploads.create(LOCAL, NewUpload(length, FileName("a", ".bin"), "", "", partial=False)).upload


def let_expire(services: svcs.Container) -> None:
    """Let all uploads expire."""
    with services.get(Database).write() as session:
        session.execute(update(Upload).values(expires_at=0))


def complete_but_no_file_yet(uploads: UploadService, tmp_path: Path) -> Upload:
    """Create an upload in the state after a crash that followed its last byte."""
    upload = create(uploads, 4)
    (tmp_path / "uploads" / upload.id).write_bytes(b"full")
    return upload
