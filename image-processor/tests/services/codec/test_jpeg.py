"""Which JPEGs lack their end marker."""

from pathlib import Path

import pytest
from image_processor.services.codec.jpeg import unended

from tests.support.images import photo

END = b"\xff\xd9"


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_end_marker_is_added(tmp_path: Path, missing: int) -> None:
    whole = photo(format="JPEG")
    path = tmp_path / "photo"
    path.write_bytes(whole[:-missing])

    assert unended(path) == whole[:-missing] + END


@pytest.mark.parametrize("trailer", [b"", b"\0" * 16, b"\xff\xda of a video"])
def test_a_jpeg_with_its_end_marker_is_not_copied(tmp_path: Path, trailer: bytes) -> None:
    path = tmp_path / "photo"
    path.write_bytes(photo(format="JPEG") + trailer)

    assert unended(path) is None


def test_the_end_of_a_thumbnail_does_not_count(tmp_path: Path) -> None:
    whole = photo(format="JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + photo(8, 8, format="JPEG"))
    path = tmp_path / "photo"
    path.write_bytes(whole[:-2])

    assert unended(path) == whole
