"""The housekeeping of files, which any of several processes does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.event_injectors import create_housekeeping
from file_storage.injectors import create_registry
from file_storage.models import File, IdempotencyKey, Link, Upload
from file_storage.services.links import LinkService, NewLink
from file_storage.services.names import FileName
from file_storage.services.promises import Promises
from file_storage.services.uploads import NewUpload, UploadService
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.settings import load
from sqlalchemy import select, update
from structlog.testing import capture_logs

from tests.support.databases import migrated_postgres_database
from tests.support.stored import stored, unlimited
from tests.support.waiting import wait_until


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def shared(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Settings, svcs.Container]]:
    """Return settings, and the services of a process that answers requests."""
    if request.param == "sqlite":
        yield settings, svcs.Container(create_registry(settings))
        return
    with migrated_postgres_database("housekeeping", "file_storage") as url:
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", url)
        on_server = load(Settings)
        yield on_server, svcs.Container(create_registry(on_server))


def test_the_process_of_the_event_stream_starts_without_flask() -> None:
    code = "import sys, file_storage.events; print('flask' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert found.stdout == "False\n"


def test_one_process_removes_what_is_over_and_the_others_do_nothing(
    shared: tuple[Settings, svcs.Container], tmp_path: Path
) -> None:
    settings, services = shared
    kept = stored(services, b"kept")
    expired, trashed = (stored(services, content).id for content in (b"expired", b"trashed"))
    services.get(LinkService).create(LOCAL, kept, NewLink(60))
    stored(services, b"kept", "a key")
    uploads = services.get(UploadService)
    complete, begun = (
        uploads.create(LOCAL, NewUpload(4, FileName(name, ".bin"), "", "", partial=False)).upload
        for name in ("complete", "begun")
    )
    uploads.append(LOCAL, begun.id, 0, None, BytesIO(b"ha"), None)
    # A crash came between the last byte and the file.
    (tmp_path / "uploads" / complete.id).write_bytes(b"full")
    services.get(Promises).make(LOCAL, "a" * 32, 1)
    with services.get(Database).begin() as connection:
        connection.execute(update(File).where(File.id == expired).values(expires_at=1))
        connection.execute(update(File).where(File.id == trashed).values(deleted_at=1))
        connection.execute(update(Link).values(expires_at=1))
        connection.execute(update(IdempotencyKey).values(created_at=1))
        connection.execute(update(Upload).values(expires_at=1))

    with capture_logs() as logs:
        create_housekeeping(settings, unlimited).run_due()

    done = {entry["chore"]: entry["count"] for entry in logs if entry["event"] == "housekeeping done"}
    every = {"idempotency keys": 1, "links": 1, "expired files": 1, "trash": 1, "promises of room": 1}
    assert done == {**every, "resumable uploads": 2}
    with services.get(Database).connect() as connection:
        rows = connection.execute(select(File.name, File.size).order_by(File.id)).all()
        assert [tuple(row) for row in rows] == [("a", 4), ("a", 4), ("complete", 4)]
        assert [list(connection.scalars(select(model))) for model in (Link.id, Upload.id)] == [[], []]
    with capture_logs() as logs:
        create_housekeeping(settings, unlimited).run_due()
    assert logs == []


def test_each_machine_removes_what_dead_processes_left_in_its_own_staging_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path, tmp_path / "another machine"]
    monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(folders[1]))
    machines = [create_housekeeping(each, unlimited) for each in (settings, load(Settings))]
    abandoned, arriving = ([folder / "staging" / name for folder in folders] for name in ("abandoned", "arriving"))
    for path in (*abandoned, *arriving):
        path.write_bytes(b"half")
    for path in abandoned:
        os.utime(path, (1, 1))

    for housekeeping in machines:
        housekeeping.start()
    wait_until(lambda: not any(path.exists() for path in abandoned), "the staging folders are swept")
    for housekeeping in machines:
        housekeeping.stop()

    assert all(path.exists() for path in arriving)
