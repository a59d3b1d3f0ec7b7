"""A task on files: decode, take each step of the plan, encode."""

from collections.abc import Mapping
from pathlib import Path

import pyvips

from image_processor.imaging.output import Report, Tiles
from image_processor.imaging.picture import UnsuitableImageError
from image_processor.services.decoding import Decoded, ImageError, Limits, NamedFiles, check_pixels, decode
from image_processor.services.encoding import (
    EXTENSIONS,
    encodes_once,
    source_format,
    write_picture,
    write_report,
    write_tiles,
)
from image_processor.services.plan import Plan


def process_image(source: Path, files: Mapping[int, Path], result: Path, plan: Plan, limits: Limits) -> str | None:
    """Applies ``plan`` to ``source`` and writes ``result``.

    EXIF orientation is applied first; ICC profiles and other metadata stay, unless the output says otherwise.

    :param files: where the files lie that the plan names.
    :returns: the extension of the result, such as ``.webp``; ``None`` where its format is the source's.
    :raises ImageError: not an image that Pixmill reads, damaged, over a limit, or unsuitable for an algorithm.
    """
    sequential = all(one.sequential for one, _ in plan.steps) and encodes_once(plan.encoding)
    try:
        decoded = decode(source, limits, sequential=sequential)
        return _apply(decoded, plan, NamedFiles(files, limits), result, limits)
    except UnsuitableImageError as error:
        raise ImageError(str(error)) from error
    except pyvips.Error as error:
        reason = str(error.detail if hasattr(error, "detail") else error).strip().splitlines()
        raise ImageError(
            f"The image is damaged or cannot be written: {_public(reason[-1] if reason else 'unknown')}"
        ) from error


def _apply(decoded: Decoded, plan: Plan, files: NamedFiles, result: Path, limits: Limits) -> str | None:
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


def _public(reason: str) -> str:
    return reason.split("/")[0].strip(" :'\"") or "the decoder gave no reason"
