"""Images from a file, through an algorithm, to a file of the same format: hardened against hostile input."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# libvips reads these when it is loaded: images above the threshold are decoded to disk, not to memory.
os.environ.setdefault("VIPS_DISC_THRESHOLD", "100m")
os.environ.setdefault("VIPS_CONCURRENCY", "1")

import pyvips

from image_processor.algorithms.registry import Algorithm, Params, UnsuitableImageError

pyvips.block_untrusted_set(True)  # noqa: FBT003 (the binding takes it so)
pyvips.cache_set_max(0)

QUALITY = 90


@dataclass(frozen=True)
class Limits:
    """What an image may cost."""

    max_pixels: int
    max_frames: int


class ImageError(Exception):
    """The image cannot be processed, now or ever; the message is for the person who asked."""


_SAVERS: Mapping[str, Callable[[pyvips.Image, str], None]] = {
    "jpegload": lambda image, path: image.jpegsave(path, Q=QUALITY, optimize_coding=True),
    "pngload": lambda image, path: image.pngsave(path),
    "webpload": lambda image, path: image.webpsave(path, Q=QUALITY),
    "gifload": lambda image, path: image.gifsave(path),
    "tiffload": lambda image, path: image.tiffsave(path, compression="deflate", predictor="horizontal"),
    "heifload": lambda image, path: image.heifsave(path, compression="av1", Q=QUALITY),
}
_FRAMES = {"webpload", "gifload", "tiffload"}


def process_image(
    source: Path, result: Path, algorithm: Algorithm[Params], params: Mapping[str, object], limits: Limits
) -> None:
    """Applies ``algorithm`` to every frame of ``source`` and writes ``result`` in the source's format.

    EXIF orientation is applied first; ICC profiles and other metadata stay.

    :raises ImageError: not an image that Pixmill reads, damaged, over a limit, or unsuitable for the algorithm.
    """
    try:
        image, loader = _open(source, limits)
        frames = [algorithm.apply(frame, params) for frame in _frames(image)]
        made = _join(frames)
        _check_pixels(made.width * made.height, limits, "The result would have")
        _SAVERS[loader](made, str(result))
    except UnsuitableImageError as error:
        raise ImageError(str(error)) from error
    except pyvips.Error as error:
        reason = str(error.detail if hasattr(error, "detail") else error).strip().splitlines()
        raise ImageError(
            f"The image is damaged or cannot be written: {_public(reason[-1] if reason else 'unknown')}"
        ) from error


def _open(source: Path, limits: Limits) -> tuple[pyvips.Image, str]:
    try:
        header = pyvips.Image.new_from_file(str(source))
    except pyvips.Error as error:
        raise ImageError("The file is not an image of a known format (JPEG, PNG, WebP, GIF, TIFF, AVIF).") from error
    loader = str(header.get("vips-loader"))
    if loader not in _SAVERS:
        raise ImageError("The file's format is not one of JPEG, PNG, WebP, GIF, TIFF, AVIF.")
    frames = int(header.get("n-pages")) if header.get_typeof("n-pages") else 1
    if frames > limits.max_frames:
        raise ImageError(f"The image has {frames} frames; {limits.max_frames} are possible.")
    _check_pixels(header.width * header.height * frames, limits, "The image has")
    if frames > 1 and loader in _FRAMES:
        return pyvips.Image.new_from_file(str(source), n=-1, fail_on="truncated"), loader
    return pyvips.Image.new_from_file(str(source), fail_on="truncated").autorot(), loader


def _check_pixels(pixels: int, limits: Limits, subject: str) -> None:
    if pixels > limits.max_pixels:
        raise ImageError(f"{subject} {pixels:,} pixels; {limits.max_pixels:,} are possible.")


def _frames(image: pyvips.Image) -> list[pyvips.Image]:
    height = image.get_page_height()
    return [image.crop(0, top, image.width, height) for top in range(0, image.height, height)]


def _join(frames: list[pyvips.Image]) -> pyvips.Image:
    if len(frames) == 1:
        return frames[0]
    joined = pyvips.Image.arrayjoin(frames, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
    return joined


def _public(reason: str) -> str:
    return reason.split("/")[0].strip(" :'\"") or "the decoder gave no reason"
