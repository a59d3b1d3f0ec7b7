"""ZIP archives of files whose number of bytes differs from their rows."""

from io import BufferedReader, BytesIO
from typing import cast

import pytest
from file_storage.models import File
from file_storage.services.archive import zip_of
from service_kit.errors import DomainError

FILE = File(id=7, name="a", extension=".bin", size=10)


def opened(content: bytes) -> BufferedReader:
    return BufferedReader(cast("BufferedReader", BytesIO(content)))


def test_an_archive_ends_early_if_a_file_was_truncated() -> None:
    archive = zip_of([FILE], lambda _: opened(b"12345"))
    length, sent = len(archive), 0

    with pytest.raises(DomainError, match="bytes of file 7 are lost"):
        for piece in archive:
            sent += len(piece)

    assert sent < length


def test_an_archive_is_no_longer_than_announced_if_a_file_has_grown() -> None:
    archive = zip_of([FILE], lambda _: opened(b"1234567890, and more"))

    assert len(archive) == sum(map(len, archive))
