"""Migration 0022 gives the uploads of an earlier version the kinds that their Upload-Concat showed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_storage.models import Upload, UploadKind
from service_kit.database import Database
from sqlalchemy import select

from tests.support.databases import KINDS
from tests.support.earlier import earlier_database, upgrade

pytestmark = pytest.mark.slow

BEFORE = [
    """
    INSERT INTO uploads (id, length, reserved, metadata_header, concat_header, name, extension, comment, expires_at,
                         finished)
    VALUES ('1', 3, 3, 'filename YQ==', NULL, 'a', '', '', 1, false),
           ('2', 3, 3, '', 'partial', 'a', '', '', 1, false),
           ('3', 3, 0, '', 'final;/uploads/2', 'a', '', '', 1, true),
           ('4', 6, 3, '', 'whole', '', '', '', 1, false)
    """,
]


@pytest.fixture(params=KINDS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with rows."""
    with earlier_database(request.param, tmp_path, "file_storage", "0021", BEFORE) as database:
        yield database


def test_uploads_of_an_earlier_version_have_their_kind_and_the_header_that_clients_sent(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.connect() as connection:
        rows = connection.execute(select(Upload.kind, Upload.concat_header, Upload.length).order_by(Upload.id)).all()
    assert rows == [
        (UploadKind.FILE, None, 3),
        (UploadKind.PART, "partial", 3),
        (UploadKind.FINAL, "final;/uploads/2", 3),
        (UploadKind.PROMISE, None, 6),
    ]
