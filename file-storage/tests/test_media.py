"""What bytes are is told by the bytes."""

from io import BytesIO

import pytest
from file_storage.services.media import Media, media_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image


def image(kind: str, **options: object) -> bytes:
    written = BytesIO()
    Image.new("RGB", (30, 20)).save(written, kind, **options)  # type: ignore[arg-type]  # options of the format
    return written.getvalue()


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
        ("BMP", "image/bmp"),
    ],
)
def test_an_image_tells_its_type_and_size(kind: str, media_type: str) -> None:
    assert media_of(BytesIO(image(kind))) == Media(media_type, 30, 20)


@pytest.mark.parametrize(("orientation", "size"), [(1, (30, 20)), (3, (30, 20)), (6, (20, 30)), (8, (20, 30))])
def test_the_size_is_that_of_the_image_as_it_is_shown(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation

    media = media_of(BytesIO(image("JPEG", exif=exif)))

    assert (media.width, media.height) == size


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\3\4" + bytes(26), "application/zip"),
        (b"plain words", "text/plain"),
        ("слова".encode(), "text/plain"),
        (b"<!DOCTYPE html><title>x</title>", "text/html"),
        (b" <!-- x --> <script>alert(1)</script>", "text/html"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (b"", "application/octet-stream"),
        (b"\xff\xd8\xff\xe0 no image", "image/jpeg"),
        (b"\0\1\2\3", "application/octet-stream"),
    ],
)
def test_other_content_is_known_by_its_signature(content: bytes, media_type: str) -> None:
    assert media_of(BytesIO(content)) == Media(media_type)


@given(st.binary(max_size=500), st.sampled_from([b"", image("PNG")[:40], image("TIFF")[:80], image("WEBP")[:30]]))
def test_no_content_is_an_error(content: bytes, start: bytes) -> None:
    assert media_of(BytesIO(start + content)).media_type
