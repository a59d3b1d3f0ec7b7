"""Converts between EXIF tags in a TIFF (CIPA DC-008), which libvips neither reads nor writes, and EXIF fields."""

import io
import struct
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pyvips

from image_processor.services.codec import tiff
from image_processor.services.codec.tiff import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    INTEROPERABILITY_DIRECTORY,
    SIZES,
    Described,
    Directory,
    Entry,
)

_START = b"Exif\0\0"
_OF_THE_IMAGE = (270, 271, 272, 305, 306, tiff.ARTIST, 316, tiff.COPYRIGHT, *range(40091, 40096))
"""Description, make, model, software, time, artist, computer, copyright and Windows' tags (title, comment, author,
keywords, subject); all other tags describe how the pixels are stored."""
_BOUND_TO_THEIR_FILE = (40962, 40963, INTEROPERABILITY_DIRECTORY)
"""Tags valid only in their file: the width and height of its pixels, the offset of the interoperability directory."""
_COMPUTER = 316
ARTIST_FIELD, COPYRIGHT_FIELD = "exif-ifd0-Artist", "exif-ifd0-Copyright"
"""libvips' names of these tags."""
_PRIVATE = range(65_000, 65_536)
"""Tags for private use (TIFF 6.0, page 8), in which Lightroom stores the owner and the lens."""
_JPEG = b"\xff\xd8\xff"
_REQUIRED = {
    **{"XResolution": 282, "YResolution": 283, "ResolutionUnit": 296, "YCbCrPositioning": 531, "ExifVersion": 36864},
    **{"ComponentsConfiguration": 37121, "FlashpixVersion": 40960, "FlashPixVersion": 40960, "ColorSpace": 40961},
    **{"PixelXDimension": 40962, "PixelYDimension": 40963},
}
"""Tags that DC-008 requires, by libvips' names."""
_RESOLUTION, _RESOLUTION_UNIT, _INCH = (282, 283), 296, 2
_SHORT, _RATIONAL = 3, 5
"""Kinds of values (TIFF 6.0, page 15)."""
_LONGEST = 65_000
"""Maximum size of an EXIF block in bytes; a JPEG segment holds at most 65,533."""


def with_exif_of_tiff(image: pyvips.Image, source: Path, page: int = 0) -> pyvips.Image:
    """Return the image with the tags of the TIFF's page as EXIF fields, as libvips reads them from a JPEG."""
    with source.open("rb") as file:
        found = tiff.described(file, page)
    block = None if found is None else _block(found)
    if block is None:
        return image
    try:
        pixel = _pixel_with(block)
    except pyvips.Error:
        return image
    return _with_fields(image, pixel)


def with_credits_alone(image: pyvips.Image, added: Mapping[int, bytes]) -> pyvips.Image:
    """Return the image with no EXIF but its own Artist and Copyright, and the ``added`` ones by tag.

    The tags are written as bytes, because libvips replaces non-ASCII letters in fields.
    """
    own = tiff.described(io.BytesIO(_exif_of(image)))
    before = {} if own is None else _reordered(own.image.entries, own.image.order, "<")
    kept = {tag: before[tag] for tag in (tiff.ARTIST, tiff.COPYRIGHT) if tag in before}
    entries = {tag: Entry(2, len(value) + 1, value + b"\0") for tag, value in added.items()}
    block = _block(Described(Directory("<", {**kept, **entries})))
    return image if block is None else _with_fields(image, _pixel_with(block))


def with_resolution_in_exif(image: pyvips.Image) -> pyvips.Image:
    """Return the image with EXIF that states its resolution, and nothing else."""
    dots = [Fraction(per_millimeter * 25.4).limit_denominator(1000) for per_millimeter in (image.xres, image.yres)]
    entries = {
        tag: Entry(_RATIONAL, 1, struct.pack("<II", number.numerator, number.denominator))
        for tag, number in zip(_RESOLUTION, dots, strict=True)
    }
    entries[_RESOLUTION_UNIT] = Entry(_SHORT, 1, struct.pack("<H", _INCH))
    head = struct.pack("<2sHI", b"II", 42, 8)
    block = _START + head + _DirectoryWriter("<", big=False).directory(entries, len(head))
    return without_invented_tags(_with_fields(image, _pixel_with(block)))


def _exif_of(image: pyvips.Image) -> bytes:
    return bytes(image.get("exif-data")).removeprefix(_START) if image.get_typeof("exif-data") else b""


def pixel_with_exif_of(image: pyvips.Image) -> pyvips.Image | None:
    """Return a pixel with the image's EXIF, as libvips reads it from a JPEG; None if a JPEG cannot have it."""
    block = _START + _exif_of(image)
    if not len(_START) < len(block) <= _LONGEST:
        return None
    try:
        return _pixel_with(block)
    except pyvips.Error:
        return None


def _pixel_with(block: bytes) -> pyvips.Image:
    """Return an image with this EXIF block, parsed by libvips as in a JPEG."""
    jpeg = pyvips.Image.black(1, 1).jpegsave_buffer(keep="none")
    return pyvips.Image.jpegload_buffer(jpeg[:2] + _segment(block) + jpeg[2:])


def write_into_tiff(path: Path, image: pyvips.Image, *, whole: bool) -> None:
    """Add the image's EXIF fields to a TIFF written by libvips, by appending a copy of its first directory.

    :param whole: also add tags of the image's EXIF block for which libvips has no fields.
    """
    fields = _with_fields(pyvips.Image.black(1, 1).copy(), image)
    content = fields.jpegsave_buffer(keep="exif")  # saving makes libvips update the block from the fields
    start = content.find(_START)
    found = None if start < 0 else tiff.described(io.BytesIO(content[start + len(_START) :]))
    if found is None:
        return
    found = _with_unknown_tags(found, image) if whole else found
    with path.open("r+b") as file:
        order, big = _form(file.read(4))
        head = struct.Struct(order + ("Q" if big else "I"))
        file.seek(8 if big else 4)
        (first,) = head.unpack(file.read(head.size))
        rows, following = _rows(file, first, order, big=big)
        place = file.seek(0, 2)
        place += file.write(bytes(place % 2))
        added = _DirectoryWriter(order, big=big)
        groups = ((EXIF_DIRECTORY, found.photo, "exif-ifd2-"), (GPS_DIRECTORY, found.gps, "exif-ifd3-"))
        for tag, directory, prefix in groups:
            own = {} if directory is None else _kept(directory)
            is_own = _has(image, prefix) or any(entry in _PRIVATE for entry in own)  # libexif adds an empty directory
            if directory is not None and own and is_own:
                rows[tag] = added.row(tag, Entry(4, 1, struct.pack(f"{order}I", place)), 0)
                place += file.write(added.directory(_reordered(own, directory.order, order), place))
        ours = {tag: found.image.entries[tag] for tag in _OF_THE_IMAGE if tag in found.image.entries}
        ours = {tag: entry for tag, entry in ours.items() if tag not in rows}
        content = added.directory(_reordered(ours, found.image.order, order), place, rows, following)
        file.write(content)
        file.seek(8 if big else 4)
        file.write(head.pack(place))


def _with_unknown_tags(found: Described, image: pyvips.Image) -> Described:
    """Return the tags with those of the image's EXIF block that libexif, and therefore libvips, drops.

    Private data that contains a JPEG may show the source as it was before an edge was cropped; it is not added.
    """
    if not image.get_typeof("exif-data"):
        return found
    block = tiff.described(io.BytesIO(bytes(image.get("exif-data")).removeprefix(_START)))
    if block is None:
        return found
    tags = {tag: entry for tag, entry in block.image.entries.items() if tag == _COMPUTER}
    described = replace(found, image=_extended(found.image, tags, block.image.order))
    if block.photo is None:
        return described
    private = {tag: entry for tag, entry in block.photo.entries.items() if tag in _PRIVATE and _JPEG not in entry.data}
    return replace(described, photo=_extended(found.photo or Directory(found.image.order), private, block.photo.order))


def _extended(directory: Directory, entries: Mapping[int, Entry], order: str) -> Directory:
    return replace(directory, entries={**_reordered(entries, order, directory.order), **directory.entries})


def without_invented_tags(image: pyvips.Image) -> pyvips.Image:
    """Return the image without the EXIF fields that libvips adds because the standard requires them.

    For example, an image without a color space must not become "uncalibrated".
    """
    if not image.get_typeof("exif-data"):
        return image
    found = tiff.described(io.BytesIO(bytes(image.get("exif-data")).removeprefix(_START)))
    if found is None:
        return image
    groups = {"exif-ifd0-": found.image, "exif-ifd2-": found.photo or Directory(found.image.order)}
    named = {prefix + name: (group, tag) for prefix, group in groups.items() for name, tag in _REQUIRED.items()}
    invented = [field for field, (group, tag) in named.items() if tag not in group.tags]
    return _without(image, [field for field in invented if image.get_typeof(field)])


def _without(image: pyvips.Image, fields: Collection[str]) -> pyvips.Image:
    if not fields:
        return image
    image = image.copy()
    for field in fields:
        image.remove(field)
    return image


def has_exif(image: pyvips.Image) -> bool:
    """Return whether the image has EXIF fields, not just the block from which fields were read."""
    return _has(image, "exif-ifd")


def _has(image: pyvips.Image, prefix: str) -> bool:
    return any(field.startswith(prefix) for field in image.get_fields())


def _with_fields(image: pyvips.Image, other: pyvips.Image) -> pyvips.Image:
    """Return the image with its EXIF fields replaced by those of ``other``."""
    image = image.copy()
    fields = [field for field in other.get_fields() if field.startswith("exif-")]
    for field in fields:
        image.set_type(other.get_typeof(field), field, other.get(field))
    # Setting the block makes libvips parse it, which restores fields that are missing in ``other``.
    for field in image.get_fields():
        if field.startswith("exif-") and field not in fields:
            image.remove(field)
    return image


def _segment(block: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block


def _kept(directory: Directory) -> Mapping[int, Entry]:
    return {tag: entry for tag, entry in directory.entries.items() if tag not in _BOUND_TO_THEIR_FILE}


def _block(found: Described) -> bytes | None:
    """Return the EXIF block with these tags; None if there are no tags or too many for a block."""
    order = found.image.order
    image = {tag: found.image.entries[tag] for tag in _OF_THE_IMAGE if tag in found.image.entries}
    groups = {
        EXIF_DIRECTORY: found.photo,
        GPS_DIRECTORY: found.gps,
        INTEROPERABILITY_DIRECTORY: found.interoperability,
    }
    pointed = {tag: group for tag, group in groups.items() if group is not None and group.entries}
    if not image and not pointed:
        return None
    writer = _DirectoryWriter(order, big=False)
    content = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    places = dict.fromkeys(pointed, 0)
    for _ in range(2):  # the second pass uses the offsets of the first
        rows = {tag: writer.row(tag, Entry(4, 1, struct.pack(f"{order}I", place)), 0) for tag, place in places.items()}
        of_photo = {tag: rows.pop(tag) for tag in (INTEROPERABILITY_DIRECTORY,) if tag in rows}
        body = writer.directory(image, len(content), rows)
        for tag, group in pointed.items():
            places[tag] = len(content) + len(body)
            body += writer.directory(_kept(group), places[tag], of_photo if tag == EXIF_DIRECTORY else None)
    block = _START + content + body
    return block if len(block) <= _LONGEST else None


class _DirectoryWriter:
    """Writes directories in a given byte order, for TIFF or BigTIFF."""

    def __init__(self, order: str, *, big: bool) -> None:
        self._order = order
        self._count, self._place = ("Q", "Q") if big else ("H", "I")
        self._inline = 8 if big else 4

    def row(self, tag: int, entry: Entry, place: int) -> bytes:
        """Return the row of the entry; a value that does not fit into the row is stored at offset ``place``."""
        short = len(entry.data) <= self._inline
        value = entry.data.ljust(self._inline, b"\0") if short else struct.pack(self._order + self._place, place)
        return struct.pack(f"{self._order}HH{self._place}", tag, entry.kind, entry.count) + value

    def directory(
        self, entries: Mapping[int, Entry], place: int, rows: Mapping[int, bytes] | None = None, following: int = 0
    ) -> bytes:
        """Return the directory for offset ``place``, followed by the values of its entries.

        :param rows: complete rows to include.
        :param following: the offset of the next directory; 0 if this is the last.
        """
        rows = dict(rows or {})
        count = len(entries) + len(rows)
        width = 2 + 2 + 2 * struct.calcsize("=" + self._place)
        behind = place + struct.calcsize("=" + self._count) + count * width + struct.calcsize("=" + self._place)
        values = b""
        for tag, entry in entries.items():
            rows[tag] = self.row(tag, entry, behind + len(values))
            if len(entry.data) > self._inline:
                values += entry.data + bytes(len(entry.data) % 2)
        head = struct.pack(self._order + self._count, count)
        tail = struct.pack(self._order + self._place, following)
        content = head + b"".join(rows[tag] for tag in sorted(rows)) + tail + values
        return content + bytes(len(content) % 2)


def _form(head: bytes) -> tuple[str, bool]:
    order = "<" if head[:2] == b"II" else ">"
    return order, struct.unpack(f"{order}H", head[2:4])[0] == 43


def _rows(file: io.BufferedRandom, place: int, order: str, *, big: bool) -> tuple[dict[int, bytes], int]:
    """Return the unparsed rows of a directory by their tags, and the offset of the next directory."""
    count_of, place_of = (struct.Struct(order + letter) for letter in ("QQ" if big else "HI"))
    file.seek(place)
    (count,) = count_of.unpack(file.read(count_of.size))
    rows = [file.read(20 if big else 12) for _ in range(count)]
    (following,) = place_of.unpack(file.read(place_of.size))
    return {struct.unpack(f"{order}H", row[:2])[0]: row for row in rows}, following


def _reordered(entries: Mapping[int, Entry], order: str, wanted: str) -> Mapping[int, Entry]:
    if order == wanted:
        return entries
    return {tag: Entry(entry.kind, entry.count, _swapped(entry)) for tag, entry in entries.items()}


def _swapped(entry: Entry) -> bytes:
    width = {5: 4, 10: 4}.get(entry.kind, SIZES.get(entry.kind, 1))
    pieces: Collection[bytes] = [entry.data[at : at + width][::-1] for at in range(0, len(entry.data), width)]
    return b"".join(pieces)
