"""Running a plan on files: decode, apply each step, encode."""

from collections.abc import Mapping
from pathlib import Path

import pyvips

from image_processor.imaging.output import STILL, Report, Tiles
from image_processor.imaging.picture import UnsuitableImageError
from image_processor.services.codec import complaints
from image_processor.services.codec.decoding import Decoded, ImageError, NamedFiles, decode
from image_processor.services.codec.encoding import (
    EXTENSIONS,
    encodes_once,
    source_format,
    write_picture,
    write_report,
    write_tiles,
)
from image_processor.services.codec.errors import TOO_LARGE_A_FILE, failed_while_writing, hit_file_limit, reason_of
from image_processor.services.codec.jpeg import has_gap_before_pixels
from image_processor.services.codec.limits import Limits, check_frames_of, check_pixels
from image_processor.services.codec.plain import plain_jpeg
from image_processor.services.codec.plan import Plan

_EXTRANEOUS = "extraneous bytes before marker"
"""Part of libjpeg's warning about skipped bytes: no pixel is lost if they come before the pixels."""


def process_image(source: Path, files: Mapping[int, Path], result: Path, plan: Plan, limits: Limits) -> str | None:
    """Apply ``plan`` to ``source`` and write ``result``.

    EXIF orientation is applied first; the ICC profile and other metadata are kept as the output says.

    :param files: paths of the other files that the plan uses, by their ids.
    :returns: the extension of the result, such as ``.webp``; ``None`` if it has the format of the source.
    :raises ImageError: the source is not a readable image, is damaged, exceeds a limit, or does not suit an algorithm.
    """
    sequential = all(algorithm.sequential for algorithm, _ in plan.steps) and encodes_once(plan.encoding)
    complaints.forget()

    def whole() -> Decoded:
        return decode(source, limits, sequential=sequential, wanted=plan.source)

    try:
        decoded = plain_jpeg(source, limits, plan.source, whole) or whole()
        extension = _apply(decoded, plan, NamedFiles(files, limits), result, limits)
    except UnsuitableImageError as error:
        raise ImageError(str(error)) from error
    except pyvips.Error as error:
        raise ImageError(_sentence(error)) from error
    lost = complaints.lost_pixels()
    if lost is not None and not (_EXTRANEOUS in lost and has_gap_before_pixels(source)):
        raise ImageError(f"The image cannot be decoded: {reason_of(lost)}.")
    return extension


def _sentence(error: pyvips.Error) -> str:
    detail = complaints.causes(str(error.detail))
    if hit_file_limit(detail):
        return TOO_LARGE_A_FILE
    if failed_while_writing(detail):
        return f"The result cannot be written: {reason_of(detail)}."
    return f"The image cannot be decoded: {reason_of(detail)}."


def _refuse_lost_frames(decoded: Decoded, plan: Plan) -> None:
    """Raise ImageError if the result should have all frames and some cannot be read."""
    if decoded.unread is None or isinstance(plan.encoding, Tiles):
        return
    is_first_enough = any(algorithm.frames == "first" for algorithm, _ in plan.steps)
    if not is_first_enough and plan.encoding.format not in STILL:
        raise ImageError(f"{decoded.unread}. To get it, choose the output format jpeg, png or avif.")


def _apply(decoded: Decoded, plan: Plan, files: NamedFiles, result: Path, limits: Limits) -> str | None:
    _refuse_lost_frames(decoded, plan)
    picture = decoded.picture
    for algorithm, params in plan.steps:
        made = algorithm.apply(picture, params, files)
        if isinstance(made, Report):
            return write_report(made, result)
        picture = made
        check_pixels(picture.width * picture.height * len(picture.frames), limits, "The result would have")
        if picture.plain is None:  # else it has 8 bits and at most three bands
            check_frames_of(picture.frames, limits, "The result would have")
    if isinstance(plan.encoding, Tiles):
        return write_tiles(picture, plan.encoding, result)
    written = write_picture(picture, plan.encoding, source_format(decoded, picture), result)
    return None if written == decoded.format else EXTENSIONS[written]
