"""A task on files: decode, take each step of the plan, encode."""

from collections.abc import Mapping
from pathlib import Path

import pyvips

from image_processor.imaging.output import STILL, Report, Tiles
from image_processor.imaging.picture import UnsuitableImageError
from image_processor.services.codec import complaints
from image_processor.services.codec.decoding import Decoded, ImageError, Limits, NamedFiles, check_pixels, decode
from image_processor.services.codec.encoding import (
    EXTENSIONS,
    encodes_once,
    source_format,
    write_picture,
    write_report,
    write_tiles,
)
from image_processor.services.codec.errors import failed_while_writing, reason_of
from image_processor.services.codec.jpeg import has_gap_before_pixels
from image_processor.services.codec.plan import Plan

_EXTRANEOUS = "extraneous bytes before marker"
"""What libjpeg says of bytes that it skips: among the pixels they cost some, before them none."""


def process_image(source: Path, files: Mapping[int, Path], result: Path, plan: Plan, limits: Limits) -> str | None:
    """Applies ``plan`` to ``source`` and writes ``result``.

    EXIF orientation is applied first; ICC profiles and other metadata stay, unless the output says otherwise.

    :param files: where the files lie that the plan names.
    :returns: the extension of the result, such as ``.webp``; ``None`` where its format is the source's.
    :raises ImageError: not an image that Pixmill reads, damaged, over a limit, or unsuitable for an algorithm.
    """
    sequential = all(one.sequential for one, _ in plan.steps) and encodes_once(plan.encoding)
    complaints.forget()
    try:
        decoded = decode(source, limits, sequential=sequential, wanted=plan.source)
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
    if failed_while_writing(detail):
        return f"The result cannot be written: {reason_of(detail)}."
    return f"The image cannot be decoded: {reason_of(detail)}."


def _refuse_lost_frames(decoded: Decoded, plan: Plan) -> None:
    """Raise ImageError where the result would have all frames, and some of them are not read."""
    if decoded.unread is None or isinstance(plan.encoding, Tiles):
        return
    one_is_wanted = any(algorithm.frames == "first" for algorithm, _ in plan.steps)
    if not one_is_wanted and plan.encoding.format not in STILL:
        raise ImageError(f"{decoded.unread}. For that one, choose the output format jpeg, png or avif.")


def _apply(decoded: Decoded, plan: Plan, files: NamedFiles, result: Path, limits: Limits) -> str | None:
    _refuse_lost_frames(decoded, plan)
    picture = decoded.picture
    for algorithm, params in plan.steps:
        made = algorithm.apply(picture, params, files)
        if isinstance(made, Report):
            return write_report(made, result)
        picture = made
        check_pixels(picture.width * picture.height * len(picture.frames), limits, "The result would have")
    if isinstance(plan.encoding, Tiles):
        return write_tiles(picture, plan.encoding, result)
    written = write_picture(picture, plan.encoding, source_format(decoded, picture), result)
    return None if written == decoded.format else EXTENSIONS[written]
