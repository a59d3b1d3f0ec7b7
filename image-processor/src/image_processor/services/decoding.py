"""Images read from files: hardened against hostile input, upright, shrunk while they are decoded where that serves."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

# libvips reads these when it is loaded: images above the threshold are decoded to disk, not to memory.
os.environ.setdefault("VIPS_DISC_THRESHOLD", "100m")
os.environ.setdefault("VIPS_CONCURRENCY", "1")

import pyvips

from image_processor.imaging.colour import in_srgb
from image_processor.imaging.output import ANIMATED
from image_processor.imaging.picture import Picture, UnsuitableImageError, frames_of
from image_processor.services.readers import KNOWN, DamagedError, Opened, open_foreign

pyvips.block_untrusted_set(True)  # noqa: FBT003 (the binding takes it so)
pyvips.cache_set_max(0)


@dataclass(frozen=True)
class Limits:
    """What an image may cost."""

    max_pixels: int
    max_frames: int


class ImageError(Exception):
    """The image cannot be processed, now or ever; the message is for the person who asked."""


_FORMATS = {
    "jpegload": "jpeg",
    "uhdrload": "jpeg",  # Ultra HDR, as telephones write it: a JPEG for all to see, and a map of what is brighter
    "pngload": "png",
    "webpload": "webp",
    "gifload": "gif",
    "tiffload": "tiff",
    "heifload": "avif",
}
_UPRIGHT_AS_STORED = (0, 1, 2)
"""EXIF orientations that need no rows in another order than the file has them."""


@dataclass(frozen=True)
class Decoded:
    """A picture, and the name of the format it came in.

    :param lossless: the file keeps every pixel; set for formats alone that Pixmill does not write.
    """

    picture: Picture
    format: str
    lossless: bool = False


def decode(source: Path, limits: Limits, *, sequential: bool) -> Decoded:
    """The image of a file, with its EXIF orientation applied. Pixels are decoded when they are asked for.

    :param sequential: they are asked for once, from top to bottom, and so need not all be held.
    :raises ImageError: not an image that Pixmill reads, or over a limit.
    """
    foreign = _foreign(source, limits)
    if foreign is not None:
        return foreign
    header, found = _header(source)
    frames = frames_of(header)
    if frames > limits.max_frames:
        raise ImageError(f"The image has {frames} frames; {limits.max_frames} are possible.")
    check_pixels(header.width * header.height * frames, limits, "The image has")
    if frames > 1 and found in ANIMATED:
        return Decoded(_animation(source), found)
    stored = int(header.get("orientation")) if header.get_typeof("orientation") else 0
    access = "sequential" if sequential and stored in _UPRIGHT_AS_STORED else "random"
    picture = Picture.of([_still(source, found, access)])
    if found in _SHRINKERS:
        picture = replace(picture, shrink=lambda factor: _shrunk(source, access, found, factor))
    return Decoded(picture, found)


def check_pixels(pixels: int, limits: Limits, subject: str) -> None:
    """:raises ImageError: there are more than may be."""
    if pixels > limits.max_pixels:
        raise ImageError(f"{subject} {pixels:,} pixels; {limits.max_pixels:,} are possible.")


class NamedFiles:
    """Implements :class:`image_processor.imaging.files.Files` over files that were fetched already."""

    def __init__(self, paths: Mapping[int, Path], limits: Limits) -> None:
        self._paths = paths
        self._limits = limits

    def image(self, file_id: int) -> pyvips.Image:
        try:
            decoded = decode(self._paths[file_id], self._limits, sequential=False)
        except ImageError as error:
            raise UnsuitableImageError(f"File {file_id}: {error}") from error
        return in_srgb(decoded.picture.first)

    def text(self, file_id: int, max_bytes: int) -> str:
        path = self._paths[file_id]
        if path.stat().st_size > max_bytes:
            raise UnsuitableImageError(f"File {file_id} has more than {max_bytes:,} bytes.")
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise UnsuitableImageError(f"File {file_id} is no text.") from error


def _foreign(source: Path, limits: Limits) -> Decoded | None:
    """Return the image of a file that libvips does not read; ``None`` where it may try."""
    try:
        opened = open_foreign(source)
        if opened is None:
            return None
        check_pixels(opened.width * opened.height, limits, "The image has")
        picture = Picture.of([opened.image()])
    except DamagedError as error:
        raise ImageError(f"The image is damaged: {error}.") from error
    if opened.at_size is not None:
        picture = replace(picture, shrink=lambda factor: _rendered(opened, factor, limits), is_drawing=True)
    return Decoded(picture, opened.format, opened.lossless)


def _rendered(opened: Opened, factor: float, limits: Limits) -> pyvips.Image:
    width, height = max(1, round(opened.width / factor)), max(1, round(opened.height / factor))
    check_pixels(width * height, limits, "The image would have")
    try:
        return opened.rendered(width, height)
    except DamagedError as error:
        raise ImageError(f"The image is damaged: {error}.") from error


def _header(source: Path) -> tuple[pyvips.Image, str]:
    known = ", ".join(("JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF", *KNOWN))
    try:
        header = pyvips.Image.new_from_file(str(source))
    except pyvips.Error as error:
        raise ImageError(f"The file is not an image of a known format ({known}).") from error
    loader = str(header.get("vips-loader"))
    if loader not in _FORMATS:
        raise ImageError(f"The file's format is not one of {known}.")
    return header, _FORMATS[loader]


def _animation(source: Path) -> Picture:
    roll = pyvips.Image.new_from_file(str(source), n=-1, fail_on="truncated")
    height = roll.get_page_height()
    return Picture.of([roll.crop(0, top, roll.width, height) for top in range(0, roll.height, height)])


def _still(source: Path, found: str, access: str, **options: object) -> pyvips.Image:
    load = pyvips.Image.jpegload if found == "jpeg" else pyvips.Image.new_from_file
    return load(str(source), access=access, fail_on="truncated", **options).autorot()


_SHRINKERS = {
    # Powers of two: what a JPEG's blocks can give, and a scaler of good quality has no more than two times left to do.
    "jpeg": lambda power: {"shrink": power},
    "webp": lambda power: {"scale": 1 / power},
}


def _shrunk(source: Path, access: str, found: str, factor: float) -> pyvips.Image:
    power = max(power for power in (1, 2, 4, 8) if power <= factor)
    return _still(source, found, access, **_SHRINKERS[found](power))
