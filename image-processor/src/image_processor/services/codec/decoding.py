"""Decodes image files: safe with hostile input, upright, and shrunk while decoding if possible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyvips
from service_kit.texts import Sentence, counted, sentence, text_of

from image_processor.imaging.color import alike, in_srgb
from image_processor.imaging.output import ANIMATED
from image_processor.imaging.picture import Picture, UnsuitableImageError, frames_of
from image_processor.imaging.samples import usual
from image_processor.imaging.source import Source
from image_processor.services.causes import Cause
from image_processor.services.codec import complaints, gif, tiff
from image_processor.services.codec.avif import is_sequence
from image_processor.services.codec.colors import PROFILE, with_described_colors
from image_processor.services.codec.errors import ImageError, failed_while_writing, hit_file_limit, reason_of
from image_processor.services.codec.exif_block import with_exif_of_tiff, without_invented_tags
from image_processor.services.codec.jpeg import has_gap_before_pixels, is_lossless, unended, with_all_segments
from image_processor.services.codec.layout import Layout, layout_of, layout_of_tiff, with_page_sizes
from image_processor.services.codec.limits import (
    ImageLimits,
    check_decoded_bytes,
    check_frame_pixels,
    check_frames,
    check_frames_of,
    check_pixels,
)
from image_processor.services.codec.mended_tiff import open_mended
from image_processor.services.codec.pages import check_page
from image_processor.services.codec.png import with_marked_exif, with_metadata_after_pixels
from image_processor.services.codec.resolution import with_stated_resolution
from image_processor.services.codec.saving import materialized
from image_processor.services.codec.tiff_decoders import is_decodable
from image_processor.services.readers import KNOWN, DamagedError, Opened, open_foreign

__all__ = ["Decoded", "ImageError", "ImageLimits", "NamedFiles", "decode"]

_FORMATS_OF_LIBVIPS = ("Jpeg", "Uhdr", "Png", "Webp", "Nsgif", "Tiff", "Heif")
"""Loaders that may run, by their names in libvips' class hierarchy; all others are blocked."""

pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 (the binding has no keyword)
for _format in _FORMATS_OF_LIBVIPS:
    pyvips.operation_block_set(f"VipsForeignLoad{_format}", False)  # noqa: FBT003
# Must come last: libvips also blocks an allowed loader if its library has a known vulnerability.
pyvips.block_untrusted_set(True)  # noqa: FBT003
pyvips.cache_set_max(0)

READABLE = {
    "jpegload": "jpeg",
    "uhdrload": "jpeg",  # Ultra HDR, as phones write it: a JPEG with a gain map
    "pngload": "png",
    "webpload": "webp",
    "gifload": "gif",
    "tiffload": "tiff",
    "heifload": "avif",
}
"""The allowed libvips loaders and the formats that they read."""
READABLE_NAMES = ", ".join(("JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF", *KNOWN))
_BEGINNINGS = {
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG",),
    "GIF": (b"GIF8",),
}
"""First bytes that identify the format of a file that no loader accepts."""
_LOADERS = {"jpeg": pyvips.Image.jpegload, "avif": pyvips.Image.heifload, "tiff": pyvips.Image.tiffload}
"""Loaders to call by name, because libvips would choose another or none."""
_UPRIGHT_AS_STORED = (0, 1, 2)
"""EXIF orientations that keep the order of rows."""
_READ_ONCE = ("uchar", "ushort", "uint")
"""Sample formats that are read once, top to bottom; all others are first scanned for their maximum."""
_EXTRANEOUS = "extraneous bytes before marker"
"""Part of libjpeg's warning about skipped bytes; no pixel is lost if they are before the pixels."""
_FAIL_ON = "error"
"""Fail if pixels are missing or cannot be decoded; :mod:`complaints` collects the warnings."""


AS_IT_IS = Source()


@dataclass(frozen=True)
class Decoded:
    """A decoded picture and the name of its format.

    :param unread: why the picture lacks frames of the file, as a sentence; ``None`` if it has all that were requested.
    :param lossless: whether the file is lossless; set only for formats that Pixmill does not write.
    :param is_held: libvips decodes all pixels to read one, and keeps them in memory or in a temporary file.
    """

    picture: Picture
    format: str
    unread: str | None = None
    lossless: bool = False
    is_held: bool = False


def decode(source: Path, limits: ImageLimits, *, sequential: bool, wanted: Source = AS_IT_IS) -> Decoded:
    """Return the image of a file, with its EXIF orientation applied. Pixels are decoded lazily.

    :param sequential: the pixels are read once, top to bottom, so they need not stay in memory.
    :param wanted: the requested page, and the resolution of a vector drawing.
    :raises ImageError: the file is not a readable image, is damaged, exceeds a limit, or lacks the page.
    """
    try:
        decoded = _decoded(source, limits, wanted, sequential=sequential)
    except pyvips.Error as error:
        raise _undecodable(error) from error
    check_frames_of(decoded.picture.frames, limits, sentence("The image has"))
    return decoded


def _undecodable(error: pyvips.Error) -> ImageError:
    return ImageError(
        sentence("The image cannot be decoded: {reason}.", reason=reason_of(complaints.causes(error.detail)))
    )


def _decoded(source: Path, limits: ImageLimits, wanted: Source, *, sequential: bool) -> Decoded:
    foreign = _foreign(source, limits, wanted)
    if foreign is not None:
        return foreign
    header, format_name = _header(source, wanted.page)
    if wanted.page is None:
        check_frames(min(frames_of(header), wanted.frames or frames_of(header)), limits)
    layout = _fewer(layout_of(source, header, format_name, wanted.page), wanted.frames)
    is_document = format_name == "tiff" and len(layout.pages) > 1
    if layout.pages[0] > 0 or is_document:
        # While it exists, the other pages of a corrected TIFF share its content.
        header = _loaded(source, format_name, page=layout.pages[0])
    if is_document:
        layout = _without_unread(source, layout)
    check_frames_of([header], limits, sentence("The image has"), len(layout.pages))
    if len(layout.pages) > 1 and format_name in ANIMATED:
        check_frame_pixels(header.width * header.height, limits)
        animation = _animation(source, format_name, layout, limits, upright=wanted.upright)
        if format_name == "gif":
            animation = gif.checked(animation, source, layout.pages, frames_of(header))
        return Decoded(Picture.of([with_page_sizes(frame, layout) for frame in animation]), format_name)
    stored = int(header.get("orientation")) if header.get_typeof("orientation") else 0
    in_order = (stored in _UPRIGHT_AS_STORED or not wanted.upright) and header.format in _READ_ONCE
    access = "sequential" if sequential and in_order else "random"
    page = {"page": layout.pages[0]} if layout.pages[0] > 0 else {}
    opened = _still(source, format_name, access, upright=wanted.upright, **page)
    if format_name == "gif":
        [opened] = gif.checked([opened], source, layout.pages, frames_of(header))
    still = with_page_sizes(layout.usable(opened, 0), layout)
    picture = Picture.of([_described(still, source, format_name, layout.pages[0])])
    if format_name in _SHRINKERS and not (format_name == "jpeg" and is_lossless(source)):
        picture = replace(
            picture,
            shrink=lambda factor: _shrunk(source, access, format_name, factor, page, upright=wanted.upright),
        )
    is_tiled = format_name == "tiff" and bool(header.get_typeof("tile-width"))
    return Decoded(picture, format_name, layout.unread, is_held=access == "random" or is_tiled)


def _fewer(layout: Layout, frames: int | None) -> Layout:
    """Return the layout limited to the first ``frames`` frames; the others are then not missing."""
    if frames is None or frames > len(layout.pages):
        return layout
    total = max(layout.frames, len(layout.pages))
    return replace(layout, pages=layout.pages[:frames], frames=total, unread=None)


def _without_unread(source: Path, layout: Layout) -> Layout:
    """Return the layout of a TIFF, or that of only its first page if another page cannot be read."""
    directories = layout.directories[: len(layout.pages)]
    kinds = {directory.kind: number for number, directory in reversed([*enumerate(directories)])}
    for number in sorted(kinds.values())[1:]:  # one page of each kind
        if not _is_readable(source, layout, number):
            unread = sentence("Page {page} of this TIFF cannot be read, so only the first page is", page=number + 1)
            return replace(layout, pages=layout.pages[:1], directories=directories[:1], unread=unread)
    return layout


def _is_readable(source: Path, layout: Layout, number: int) -> bool:
    directory = layout.directories[number]
    # libvips refuses these only when it decodes their pixels.
    if not is_decodable(directory) or directory.is_in_tiles_and_planes:
        return False
    try:
        usual(layout.usable(_loaded(source, "tiff", page=layout.pages[number]), number))
    except (UnsuitableImageError, pyvips.Error):
        return False
    return True


def check_lost_pixels(source: Path) -> None:
    """Check that the decoder of this file did not warn of lost pixels.

    :raises ImageError: it did.
    """
    lost = complaints.lost_pixels()
    if lost is not None and not (_EXTRANEOUS in lost and has_gap_before_pixels(source)):
        raise ImageError(sentence("The image cannot be decoded: {reason}.", reason=reason_of(lost)))


class NamedFiles:
    """Implements :class:`image_processor.imaging.files.Files` over downloaded files."""

    def __init__(self, paths: Mapping[int, Path], limits: ImageLimits) -> None:
        self._paths = paths
        self._limits = limits

    def image(self, file_id: int) -> pyvips.Image:
        try:
            with complaints.of_another_file():
                return self._whole(self._paths[file_id])
        except (ImageError, UnsuitableImageError) as error:
            raise UnsuitableImageError(
                sentence("File {file_id}: {reason}", file_id=file_id, reason=text_of(error))
            ) from error

    def _whole(self, path: Path) -> pyvips.Image:
        """Return the first frame with its pixels decoded, so that every warning until then is about this file."""
        decoded = decode(path, self._limits, sequential=True)
        try:
            image = in_srgb(decoded.picture.first)
            if decoded.is_held:
                # A copy would need as much memory again.
                image.getpoint(0, 0)
            else:
                image = materialized(image)
        except pyvips.Error as error:
            if hit_file_limit(error.detail) or failed_while_writing(error.detail):
                raise
            raise _undecodable(error) from error
        check_lost_pixels(path)
        return image

    def text(self, file_id: int, max_bytes: int) -> str:
        path = self._paths[file_id]
        if path.stat().st_size > max_bytes:
            raise UnsuitableImageError(
                counted(
                    "File {file_id} has more than {max_bytes:,} byte.",
                    "File {file_id} has more than {max_bytes:,} bytes.",
                    "max_bytes",
                    file_id=file_id,
                    max_bytes=max_bytes,
                )
            )
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise UnsuitableImageError(sentence("File {file_id} is not UTF-8 text.", file_id=file_id)) from error


def _foreign(source: Path, limits: ImageLimits, wanted: Source) -> Decoded | None:
    """Return the image if a reader of our own handles its format; ``None`` leaves it to libvips."""
    try:
        opened = open_foreign(source, wanted)
        if opened is None:
            return None
        check_page(wanted.page, opened.frames, opened.unread)
        _check_opened(opened, opened.width * opened.height, limits, sentence("The image has"))
        picture = Picture.of([opened.image()])
    except DamagedError as error:
        raise ImageError(sentence("The image is damaged: {reason}.", reason=text_of(error))) from error
    if opened.at_size is not None:
        picture = replace(picture, shrink=lambda factor: _rendered(opened, factor, limits), is_drawing=True)
    is_complete = wanted.page is not None or wanted.frames == 1
    return Decoded(picture, opened.format, None if is_complete else opened.unread, opened.lossless)


def _rendered(opened: Opened, factor: float, limits: ImageLimits) -> pyvips.Image:
    width, height = max(1, round(opened.width / factor)), max(1, round(opened.height / factor))
    _check_opened(opened, width * height, limits, sentence("The image would have"))
    try:
        return opened.rendered(width, height)
    except DamagedError as error:
        raise ImageError(sentence("The image is damaged: {reason}.", reason=text_of(error))) from error


def _check_opened(opened: Opened, pixels: int, limits: ImageLimits, subject: Sentence) -> None:
    check_pixels(pixels, limits, subject)
    check_decoded_bytes(pixels * opened.pixel_bytes, limits, subject)


def _header(source: Path, page: int | None) -> tuple[pyvips.Image, str]:
    """Return the file's header and format name from the libvips loader that accepts the file.

    :param page: the only page to read, from 1; of a TIFF whose first page libvips refuses, its header is returned.
    :raises ImageError: no loader may read the file, the header is damaged, or there is no such page.
    """
    if is_sequence(source):
        return _loaded(source, "avif"), "avif"
    try:
        header = pyvips.Image.new_from_file(str(source))
    except pyvips.Error as error:
        directories = tiff.directories(source)
        if not directories:
            raise ImageError(_unknown(error, source)) from error
        try:
            return _loaded(source, "tiff", page=layout_of_tiff(directories, page).pages[0]), "tiff"
        except (ImageError, pyvips.Error):
            raise ImageError(_unknown(error, source)) from error
    loader = str(header.get("vips-loader"))
    if loader not in READABLE:
        detail = sentence("The file's format is not one of {formats}.", formats=READABLE_NAMES)
        raise ImageError(detail, Cause.IMAGE_UNSUPPORTED)
    if loader == "heifload" and header.get("heif-compression") != "av1":
        detail = sentence("This kind of HEIF is not supported; the formats are {formats}.", formats=READABLE_NAMES)
        raise ImageError(detail, Cause.IMAGE_UNSUPPORTED)
    format_name = READABLE[loader]
    return (with_marked_exif(header, source) if format_name == "png" else header), format_name


def _unknown(error: pyvips.Error, source: Path) -> str:
    if error.message.startswith("unable to call"):
        return sentence("The image cannot be decoded: {reason}.", reason=reason_of(complaints.causes(error.detail)))
    # libvips found no loader.
    with source.open("rb") as file:
        head = file.read(4)
    name = next((name for name, beginnings in _BEGINNINGS.items() if head.startswith(beginnings)), None)
    if name == "TIFF" and any(len(page.depths) > 1 for page in tiff.directories(source)):
        return sentence("The samples of this TIFF differ in size, which is not supported: save them with 8 or 16 bits.")
    if name is not None:
        return sentence("The image cannot be decoded: the {name} is truncated, or its header is corrupt.", name=name)
    return sentence("The file is not an image of a known format ({formats}).", formats=READABLE_NAMES)


def _opened(source: Path, format_name: str, count: int, **options: str | int) -> pyvips.Image:
    """Open the image for reading its pixels.

    :param count: how many images of this size will be opened.
    """
    image = _loaded(source, format_name, **options)
    return _with_tiles(image, count) if format_name == "tiff" and image.get_typeof("tile-width") else image


def _loaded(source: Path, format_name: str, **options: str | int) -> pyvips.Image:
    mended = open_mended(source, fail_on=_FAIL_ON, **options) if format_name == "tiff" else None
    load = _LOADERS.get(format_name, pyvips.Image.new_from_file)
    image = load(str(source), fail_on=_FAIL_ON, **options) if mended is None else mended
    if format_name == "jpeg" and not image.get_typeof("interlaced"):  # with a single scan
        content = unended(source)
        if content is not None:
            image = pyvips.Image.jpegload_buffer(content, fail_on=_FAIL_ON, **options)
    return with_marked_exif(image, source) if format_name == "png" else image


def _with_tiles(image: pyvips.Image, count: int) -> pyvips.Image:
    """Return the image of a tiled TIFF with its pixels decoded.

    :raises ImageError: a tile cannot be decoded.
    """
    decoded: list[pyvips.Image] = []
    lost = complaints.lost_tile(lambda: decoded.append(materialized(image, count)))
    if lost is not None:
        raise ImageError(sentence("The image cannot be decoded: {reason}.", reason=reason_of(lost)))
    return decoded[0]


def _animation(
    source: Path, format_name: str, layout: Layout, limits: ImageLimits, *, upright: bool
) -> Sequence[pyvips.Image]:
    if not layout.together:
        count = len(layout.pages)
        frames = [_single(_opened(source, format_name, count, page=page), upright=upright) for page in layout.pages]
        # Bands and formats of the frames may differ from those of the header.
        check_frames_of(frames, limits, sentence("The image has"))
        usable = _usable(frames, source, format_name, layout)
        kinds = {(frame.bands, frame.format, frame.interpretation, _profile(frame)) for frame in usable}
        return usable if len(kinds) == 1 else alike([in_srgb(frame) for frame in usable])
    first = {"page": layout.pages[0]} if layout.pages[0] else {}
    roll = _opened(source, format_name, 1, n=len(layout.pages), **first)
    height = roll.get_page_height()
    tops = range(0, roll.height, height)
    frames = [_single(roll.crop(0, top, roll.width, height), upright=upright) for top in tops]
    return _usable(frames, source, format_name, layout)


def _usable(frames: Sequence[pyvips.Image], source: Path, format_name: str, layout: Layout) -> Sequence[pyvips.Image]:
    usable = [layout.usable(frame, number) for number, frame in enumerate(frames)]
    return [_described(frame, source, format_name, layout.pages[0]) for frame in usable]


def _profile(image: pyvips.Image) -> bytes | None:
    return bytes(image.get(PROFILE)) if image.get_typeof(PROFILE) else None


def _described(image: pyvips.Image, source: Path, format_name: str, page: int) -> pyvips.Image:
    """Return the image with metadata of its page (counted from 0) that libvips does not read."""
    if format_name == "jpeg":
        image = with_all_segments(image, source)
    if format_name == "png":
        image = with_metadata_after_pixels(image, source)
    image = with_exif_of_tiff(image, source, page) if format_name == "tiff" else image
    # After the EXIF, which may name the color space.
    image = with_described_colors(image, source, format_name)
    image = with_stated_resolution(without_invented_tags(image), source, format_name).copy()
    image.set_type(pyvips.GValue.gstr_type, "vips-loader", format_name)
    return image


def _single(frame: pyvips.Image, *, upright: bool) -> pyvips.Image:
    """Return the frame with its EXIF orientation applied, and without the page height of the whole animation."""
    frame = frame.copy()
    if frame.get_typeof("page-height"):
        frame.remove("page-height")
    return _turned(frame, upright=upright)


def _turned(image: pyvips.Image, *, upright: bool) -> pyvips.Image:
    """Return the image with its EXIF orientation applied or ignored, and the tag removed."""
    if upright:
        return image.autorot()
    image = image.copy()
    for field in ("orientation", "exif-ifd0-Orientation"):
        if image.get_typeof(field):
            image.remove(field)
    return image


def _still(source: Path, format_name: str, access: str, *, upright: bool, **options: str | int) -> pyvips.Image:
    return _turned(_opened(source, format_name, 1, access=access, **options), upright=upright)


_SHRINKERS = {
    # The blocks of a JPEG allow powers of two; the resampler then shrinks by less than two.
    "jpeg": lambda power: {"shrink": power},
    "webp": lambda power: {"scale": 1 / power},
}


def _shrunk(
    source: Path, access: str, format_name: str, factor: float, page: Mapping[str, int], *, upright: bool
) -> pyvips.Image:
    power = max(power for power in (1, 2, 4, 8) if power <= factor)
    opened = _still(source, format_name, access, upright=upright, **page, **_SHRINKERS[format_name](power))
    return _described(opened, source, format_name, 0)
