"""Runs a plan on files: decode, apply each step, encode."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyvips
from service_kit.texts import counted, sentence, stored, text_of

from image_processor.imaging.output import STILL, Report, Tiles
from image_processor.imaging.picture import UnsuitableImageError
from image_processor.services.causes import Cause
from image_processor.services.codec import complaints
from image_processor.services.codec.decoding import Decoded, ImageError, NamedFiles, check_lost_pixels, decode
from image_processor.services.codec.encoding import (
    EXTENSIONS,
    encodes_once,
    source_format,
    write_picture,
    write_report,
    write_tiles,
)
from image_processor.services.codec.errors import TOO_LARGE_A_FILE, failed_while_writing, hit_file_limit, reason_of
from image_processor.services.codec.limits import ImageLimits, check_frames_of, check_pixels
from image_processor.services.codec.plain import plain_jpeg
from image_processor.services.codec.plan import Plan

MAX_REPORT_LENGTH = 256 * 1024
"""Maximum length of an analysis among several: a file may contain megabytes of EXIF."""


def process_image(
    source: Path,
    files: Mapping[int, Path],
    result: Path,
    plan: Plan,
    limits: ImageLimits,
    avoided: Collection[str] = (),
) -> str | None:
    """Apply ``plan`` to ``source`` and write ``result``.

    EXIF orientation is applied first; the plan's output decides whether the ICC profile and other metadata are kept.

    :param files: paths of the other files that the plan uses, by their ids.
    :param avoided: source formats in which the result must not be encoded.
    :returns: the extension of the result, such as ``.webp``; ``None`` if it has the format of the source.
    :raises ImageError: the source is not a readable image, is damaged, exceeds a limit, or does not suit an algorithm.
    """
    sequential = all(algorithm.sequential for algorithm, _ in plan.steps) and encodes_once(plan.encoding)

    def whole() -> Decoded:
        return decode(source, limits, sequential=sequential, wanted=plan.source)

    with explained(source):
        decoded = plain_jpeg(source, limits, plan.source, whole) or whole()
        return _apply(decoded, plan, NamedFiles(files, limits), result, limits, avoided)


def write_reports(source: Path, result: Path, plan: Plan, limits: ImageLimits) -> None:
    """Run several analyses on an image that is decoded once; write their reports by name as a JSON object.

    The report of an unsuitable analysis is missing, and the object ``unavailable`` has the reason by its name, as
    :func:`service_kit.texts.stored`.

    :raises ImageError: as :func:`process_image`.
    """
    reports, unavailable = dict[str, object](), dict[str, object]()
    with explained(source):
        # Not sequential, because several analyses read the same pixels. Analyses of the header read none.
        picture = decode(source, limits, sequential=False, wanted=plan.source).picture
        for algorithm, params in plan.steps:
            try:
                reports[algorithm.name] = _report(algorithm.apply(picture, params, NamedFiles({}, limits)))
            except UnsuitableImageError as error:
                unavailable[algorithm.name] = stored(text_of(error))
    found = reports | ({"unavailable": unavailable} if unavailable else {})
    result.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")), "utf-8")


def _report(made: object) -> object:
    if not isinstance(made, Report):
        raise TypeError(f"a {type(made).__name__} is not a report")
    text = made.model_dump_json(exclude_none=True)
    if len(text) > MAX_REPORT_LENGTH:
        raise UnsuitableImageError(
            counted(
                "This report would have more than {limit:,} character.",
                "This report would have more than {limit:,} characters.",
                "limit",
                limit=MAX_REPORT_LENGTH,
            )
        )
    return json.loads(text)


@contextmanager
def explained(source: Path) -> Iterator[None]:
    """Raise ImageError with an explanation if the image cannot be decoded or loses pixels while decoding."""
    complaints.forget()
    try:
        yield
    except UnsuitableImageError as error:
        raise ImageError(text_of(error), Cause.IMAGE_UNSUITABLE) from error
    except pyvips.Error as error:
        raise _refusal(error) from error
    check_lost_pixels(source)


def _refusal(error: pyvips.Error) -> ImageError:
    detail = complaints.causes(str(error.detail))
    if hit_file_limit(detail):
        return ImageError(TOO_LARGE_A_FILE, Cause.RESULT_TOO_LARGE)
    if failed_while_writing(detail):
        refusal = sentence("The result cannot be written: {reason}.", reason=reason_of(detail))
        return ImageError(refusal, Cause.RESULT_NOT_WRITTEN)
    return ImageError(sentence("The image cannot be decoded: {reason}.", reason=reason_of(detail)))


def _refuse_lost_frames(decoded: Decoded, plan: Plan) -> None:
    """Raise ImageError if the result needs all frames and some cannot be read."""
    if decoded.unread is None or plan.accepts_still or isinstance(plan.encoding, Tiles):
        return
    is_first_enough = any(algorithm.frames == "first" for algorithm, _ in plan.steps)
    if not is_first_enough and plan.encoding.format not in STILL:
        detail = sentence("{unread}. To get it, choose the output format jpeg, png or avif.", unread=decoded.unread)
        raise ImageError(detail, Cause.OUTPUT_IMPOSSIBLE)


def _apply(
    decoded: Decoded, plan: Plan, files: NamedFiles, result: Path, limits: ImageLimits, avoided: Collection[str]
) -> str | None:
    _refuse_lost_frames(decoded, plan)
    picture = decoded.picture
    for algorithm, params in plan.steps:
        made = algorithm.apply(picture, params, files)
        if isinstance(made, Report):
            return write_report(made, result)
        picture = made
        check_pixels(picture.width * picture.height * len(picture.frames), limits, sentence("The result would have"))
        if picture.plain is None:  # a plain picture always has 8 bits and at most three bands
            check_frames_of(picture.frames, limits, sentence("The result would have"))
    if isinstance(plan.encoding, Tiles):
        return write_tiles(picture, plan.encoding, result)
    own = source_format(decoded, picture, avoided)
    written = write_picture(picture, plan.encoding, plan.by_format, plan.compared, own, result)
    return None if written == decoded.format else EXTENSIONS[written]
