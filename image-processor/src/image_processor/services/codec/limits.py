"""Checks an image against limits before its pixels are decoded and after each step of a pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyvips
from service_kit.texts import Sentence, counted, sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError

MAX_BANDS = 5
"""Four inks and alpha. More bands are measurements, not a picture, and each one costs as much as a picture."""
SAMPLE_BYTES = {
    **dict.fromkeys(("uchar", "char"), 1),
    **dict.fromkeys(("ushort", "short"), 2),
    **dict.fromkeys(("uint", "int", "float"), 4),
    **dict.fromkeys(("double", "complex"), 8),
    "dpcomplex": 16,
}
"""Bytes per sample, by libvips' names of the formats."""

_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


@dataclass(frozen=True)
class ImageLimits:
    """Upper limits of an image; pixels and decoded bytes are the totals of all frames.

    :param max_frame_pixels: the limit of a frame of an animated source; ``None``: none.
    """

    max_pixels: int
    max_frames: int
    max_decoded_bytes: int = 2 * 1024**3
    max_frame_pixels: int | None = None


def check_frames(frames: int, limits: ImageLimits) -> None:
    """Check the number of frames.

    :raises ImageError: there are more frames than the limit.
    """
    if frames > limits.max_frames:
        detail = counted(
            "The image has {frames} frame; the limit is {limit}.",
            "The image has {frames} frames; the limit is {limit}.",
            "frames",
            frames=frames,
            limit=limits.max_frames,
        )
        raise ImageError(detail, Cause.IMAGE_TOO_LARGE)


def check_pixels(pixels: int, limits: ImageLimits, subject: Sentence) -> None:
    """Check the number of pixels.

    :raises ImageError: there are more pixels than the limit.
    """
    _check_pixels(pixels, limits.max_pixels, subject)


def check_frame_pixels(pixels: int, limits: ImageLimits) -> None:
    """Check the number of pixels of a frame of an animation.

    :raises ImageError: there are more pixels than the limit.
    """
    if limits.max_frame_pixels is not None:
        _check_pixels(pixels, limits.max_frame_pixels, sentence("A frame of the animation has"))


def _check_pixels(pixels: int, limit: int, subject: Sentence) -> None:
    if pixels > limit:
        detail = counted(
            "{subject} {pixels:,} pixel; the limit is {limit:,}.",
            "{subject} {pixels:,} pixels; the limit is {limit:,}.",
            "pixels",
            subject=subject,
            pixels=pixels,
            limit=limit,
        )
        raise ImageError(detail, Cause.IMAGE_TOO_LARGE)


def check_decoded_bytes(size: int, limits: ImageLimits, subject: Sentence) -> None:
    """Check the size of the decoded pixels.

    :raises ImageError: the decoded pixels take more bytes than the limit.
    """
    if size > limits.max_decoded_bytes:
        detail = sentence(
            "{subject} {size} of decoded pixels; the limit is {limit}."
            " Make it smaller, or save it with fewer frames or with 8 bits per sample.",
            subject=subject,
            size=_readable(size),
            limit=_readable(limits.max_decoded_bytes),
        )
        raise ImageError(detail, Cause.IMAGE_TOO_LARGE)


def check_frames_of(
    frames: Sequence[pyvips.Image], limits: ImageLimits, subject: Sentence, count: int | None = None
) -> None:
    """Check images without decoding their pixels.

    :param count: the number of frames like ``frames``, if only their header is known.
    :raises ImageError: they exceed a limit.
    """
    times = 1 if count is None else count
    check_pixels(times * sum(frame.width * frame.height for frame in frames), limits, subject)
    bands = max(frame.bands for frame in frames)
    if bands > MAX_BANDS:
        detail = counted(
            "{subject} {bands} band; the limit is {limit}: four inks and transparency. Save it as gray, RGB "
            "or CMYK with at most one alpha channel.",
            "{subject} {bands} bands; the limit is {limit}: four inks and transparency. Save it as gray, RGB "
            "or CMYK with at most one alpha channel.",
            "bands",
            subject=subject,
            bands=bands,
            limit=MAX_BANDS,
        )
        raise ImageError(detail, Cause.IMAGE_TOO_LARGE)
    size = sum(frame.width * frame.height * frame.bands * SAMPLE_BYTES[frame.format] for frame in frames)
    check_decoded_bytes(times * size, limits, subject)


def _readable(size: int) -> str:
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,} bytes"
