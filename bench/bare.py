"""libvips alone and Pillow alone, for comparison; this module must not import anything from Pixmill."""

import os

os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips
from PIL import Image


def thumbnail(source: str, result: str, width: int, height: int | None = None, quality: int = 80) -> None:
    """Write a picture of this width, cropped to the height if given; the extension sets the format."""
    crop = "none" if height is None else "centre"
    image = pyvips.Image.thumbnail(source, width, height=height or 10_000_000, crop=crop)
    image.write_to_file(result, strip=True, **({} if result.endswith(".png") else {"Q": quality}))


def drafted(source: str, result: str, width: int, height: int | None = None, quality: int = 80) -> None:
    """Do the same with Pillow, whose JPEG decoder scales down as far as it can; only without a height."""
    assert height is None
    image = Image.open(source)
    size = width, max(1, round(image.height * width / image.width))
    image.draft("RGB", size)
    image.resize(size, Image.Resampling.LANCZOS).save(result, quality=quality)
