"""The file names of images by URL."""

import pytest
from image_processor.render.routers.images import with_extension


@pytest.mark.parametrize(
    ("name", "extension", "sent"),
    [
        ("cat", ".jpg", "cat.jpg"),
        ("cat.jpg", ".jpg", "cat.jpg"),
        ("cat.jpeg", ".jpg", "cat.jpeg"),
        ("CAT.JPEG", ".jpg", "CAT.JPEG"),
        ("x.tiff", ".tif", "x.tiff"),
        ("x.tif", ".tif", "x.tif"),
        ("x.tiff", ".jpg", "x.tiff.jpg"),
        ("cat.jpeg", ".webp", "cat.jpeg.webp"),
        ("cat.v1.2", ".png", "cat.v1.2.png"),
    ],
)
def test_a_file_name_has_one_extension_of_its_format(name: str, extension: str, sent: str) -> None:
    assert with_extension(name, extension) == sent
