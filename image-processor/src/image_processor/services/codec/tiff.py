"""Reads directories and tags of a TIFF that libvips does not expose (TIFF 6.0; BigTIFF)."""

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

from service_kit.texts import sentence

MOST_DIRECTORIES = 4096
_MOST_ENTRIES = 4096
_MOST_ENTRIES_OF_ALL = 250_000
"""Maximum number of entries of all directories together; they may overlap, so that a short file has millions."""
_MOST_BYTES = 60_000
"""Maximum size in bytes of all values of a directory, as in the EXIF of a JPEG; longer values are skipped."""

WIDTH, HEIGHT, ORIENTATION = 256, 257, 274
ARTIST, COPYRIGHT = 315, 33432
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY_DIRECTORY = 34665, 34853, 40965
_SUBFILE_TYPE = 254
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType: a reduced copy of another page; a transparency mask."""
BITS, SAMPLES, _PLANES, COMPRESSION, _PROFILE = 258, 277, 284, 259, 34675
STRIP_PLACES, STRIP_ROWS, STRIP_LENGTHS, _TILE_WIDTH, _TILE_HEIGHT = 273, 278, 279, 322, 323
_SAMPLE_FORMAT, _FLOATING_POINT = 339, 3
_SUBSAMPLING, _COEFFICIENTS, _BLACK_AND_WHITE = 530, 529, 532
_KIND = (
    *(WIDTH, HEIGHT, BITS, 262, ORIENTATION, SAMPLES, _PLANES, 338, _SAMPLE_FORMAT, _SUBSAMPLING, _PROFILE),
    *(COMPRESSION, STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT),
)
"""Tags that must agree for pages to be loaded together, because libvips applies those of one page to all.

They are the size, the bits, meaning and number of samples, and the ICC profile. Those of the last line must agree
because libvips refuses pages that are compressed or divided in different ways.
"""
_EXTRA_SAMPLES, PHOTOMETRIC = 338, 262
WHITE_IS_ZERO, _BLACK_IS_ZERO, RGB = 0, 1, 2
"""Values of PhotometricInterpretation for gray and RGB."""
_OF_A_PAGE = frozenset({_SUBFILE_TYPE, _EXTRA_SAMPLES, _COEFFICIENTS, _BLACK_AND_WHITE, *_KIND})
_YCBCR, CIELAB, ICCLAB = 6, 8, 9
UNREAD = {
    10: sentence("ITU L*a*b* of fax"),
    32803: sentence("the mosaic of a camera's sensor"),
    32844: sentence("LogL"),
}
"""PhotometricInterpretation values that libvips mistakes for gray or RGB."""
_JPEG = (6, 7)
"""Compressions whose decoder converts YCbCr to RGB."""
_COLORS = {0: 1, 1: 1, 2: 3, 3: 3, 5: 4, 6: 3, 8: 3, 9: 3}
"""Number of color samples, by PhotometricInterpretation."""
_ASSOCIATED = 1
_ALPHA = (_ASSOCIATED, 2)
"""ExtraSamples values that mean alpha; 0 is unspecified data."""

DAMAGED = (struct.error, KeyError, ValueError, OverflowError, OSError)
"""Exceptions that reading a damaged file may raise."""

_SHORT = 3
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes per value, by type."""
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True)
class Entry:
    """A tag's raw value, in the file's byte order.

    :param place: offset in the file of the row, which holds the value or its offset.
    """

    kind: int
    count: int
    data: bytes
    place: int = 0


@dataclass(frozen=True)
class YCbCr:
    """How samples encode luma and chroma (TIFF 6.0, 20 and 21).

    :param coefficients: weights of red, green and blue in luma.
    :param limits: ReferenceBlackWhite for 8 bits: luma of black and white, then zero and full chroma for Cb and Cr.
    """

    coefficients: Sequence[float] = (0.299, 0.587, 0.114)
    limits: Sequence[float] = (0, 255, 128, 255, 128, 255)


@dataclass(frozen=True)
class Directory:
    """The tags of one page, or of a group of tags such as EXIF's.

    :param order: the byte order, ``<`` or ``>``.
    :param tags: all tags, including those whose values were too long to be read.
    :param is_big: whether counts and offsets have 64 bits (BigTIFF).
    """

    order: str
    entries: Mapping[int, Entry] = field(default_factory=dict)
    tags: Collection[int] = ()
    is_big: bool = False

    def number(self, tag: int) -> int | None:
        """Return the tag's first value; None if it is not an unsigned integer."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _INTEGERS or not entry.data:
            return None
        return int(struct.unpack_from(self.order + _INTEGERS[entry.kind], entry.data)[0])

    def row(self, tag: int, value: int) -> bytes:
        """Return a row for the tag with one SHORT, which needs no bytes elsewhere in the file."""
        return struct.pack(f"{self.order}HH{'QH6x' if self.is_big else 'IH2x'}", tag, _SHORT, 1, value)

    def fractions(self, tag: int, count: int) -> Sequence[float] | None:
        """Return the tag's values; None if they are not ``count`` fractions."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind != 5 or len(entry.data) != 8 * count:
            return None
        values = list(struct.iter_unpack(f"{self.order}II", entry.data))
        return [above / below for above, below in values] if all(below for _, below in values) else None

    @property
    def ycbcr(self) -> YCbCr | None:
        """How the samples encode luma and chroma; None if they are not YCbCr or the decoder converts them to RGB."""
        if self.number(PHOTOMETRIC) != _YCBCR or self.number(COMPRESSION) in _JPEG:
            return None
        coefficients = self.fractions(_COEFFICIENTS, 3) or YCbCr.coefficients
        limits = self.fractions(_BLACK_AND_WHITE, 6) or YCbCr.limits
        pairs = zip(limits[::2], limits[1::2], strict=True)
        return YCbCr(coefficients, limits) if all(coefficients) and all(a != b for a, b in pairs) else YCbCr()

    @property
    def is_8_bit(self) -> bool:
        return self.number(BITS) == 8

    @property
    def is_multiplied_by_alpha(self) -> bool:
        """Whether the colors are multiplied by an alpha (ExtraSamples 1, "associated")."""
        return self.number(_EXTRA_SAMPLES) == _ASSOCIATED

    @property
    def depths(self) -> Collection[int]:
        """The distinct bit depths of the samples: several if the samples differ in size."""
        entry = self.entries.get(BITS)
        if entry is None or entry.kind != 3:
            return ()
        return {bits for (bits,) in struct.iter_unpack(f"{self.order}H", entry.data[: 2 * entry.count])}

    @property
    def is_floating_point(self) -> bool:
        return self.number(_SAMPLE_FORMAT) == _FLOATING_POINT

    @property
    def is_in_planes(self) -> bool:
        """Whether each band is stored in a plane of its own."""
        return self.number(_PLANES) == 2

    @property
    def is_in_tiles_and_planes(self) -> bool:
        return _TILE_WIDTH in self.entries and self.is_in_planes and (self.number(SAMPLES) or 1) > 1

    @property
    def is_gray_in_planes(self) -> bool:
        """Whether gray and other bands, such as alpha, are stored in planes of their own."""
        is_gray = self.number(PHOTOMETRIC) in (WHITE_IS_ZERO, _BLACK_IS_ZERO)
        return is_gray and self.is_in_planes and (self.number(SAMPLES) or 1) > 1

    @property
    def is_page(self) -> bool:
        return not (self.number(_SUBFILE_TYPE) or 0) & (_REDUCED | _MASK)

    @property
    def size(self) -> tuple[int, int]:
        """Displayed width and height of the page."""
        size = self.number(WIDTH) or 0, self.number(HEIGHT) or 0
        return size[::-1] if (self.number(ORIENTATION) or 1) in (5, 6, 7, 8) else size

    def samples(self, bands: int) -> Sequence[int]:
        """Return the numbers of the bands that are colors or alpha; the others are spare."""
        colors = _COLORS.get(self.number(PHOTOMETRIC) or 0, bands)
        if self.number(PHOTOMETRIC) == _YCBCR and bands > (self.number(SAMPLES) or bands):
            return range(colors)  # libvips makes libtiff convert them to RGBA
        entry = self.entries.get(_EXTRA_SAMPLES)
        if bands <= colors or (entry is None and bands == colors + 1):  # many writers do not declare their alpha
            return range(bands)
        extra = [] if entry is None else [value for (value,) in struct.iter_unpack(f"{self.order}H", entry.data)]
        alpha = next((number for number, value in enumerate(extra[: bands - colors]) if value in _ALPHA), None)
        return [*range(colors)] if alpha is None else [*range(colors), colors + alpha]

    @property
    def kind(self) -> Sequence[bytes | None]:
        """Values that are equal for all pages that libvips can load together."""
        return tuple(entry.data if (entry := self.entries.get(tag)) else None for tag in _KIND)


class _DirectoryReader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        head = file.read(16)
        self.order = {b"II": "<", b"MM": ">"}[head[:2]]
        version = struct.unpack_from(f"{self.order}H", head, 2)[0]
        self._big = version == 43
        if version not in (42, 43):
            raise ValueError(version)
        self._offset = "Q" if self._big else "I"
        self.first = int(struct.unpack_from(self.order + self._offset, head, 8 if self._big else 4)[0])

    def directory(self, place: int, tags: Collection[int] | None = None) -> tuple[Directory, int]:
        """Return the directory at offset ``place``, and the offset of the next directory, which is 0 after the last.

        :param tags: tags whose values are read; ``None`` reads all.
        """
        self._file.seek(place)
        count = self._number("Q" if self._big else "H")
        if count > _MOST_ENTRIES:
            raise ValueError(count)
        row = struct.Struct(f"{self.order}HH{self._offset}{8 if self._big else 4}s")
        rows = list(row.iter_unpack(self._file.read(row.size * count)))
        following = self._number(self._offset)
        entries, left = {}, _MOST_BYTES
        for row_number, (tag, kind, number, inline) in enumerate(rows):
            length = SIZES.get(kind, 1) * number
            if length <= left and (tags is None or tag in tags):
                start = place + (8 if self._big else 2) + row.size * row_number
                data = self._value(length, inline)
                if tag == _PROFILE and tags is not None:
                    data = sha256(data).digest()  # saves memory: 4,096 pages may have as many profiles
                entries[tag] = Entry(kind, number, data, start)
                left -= length
            elif tag == _PROFILE and tags is not None:
                entries[tag] = Entry(kind, number, inline)  # equal offsets show that two pages share it
        return Directory(self.order, entries, [tag for tag, *_ in rows], self._big), following

    def _value(self, length: int, inline: bytes) -> bytes:
        if length <= len(inline):
            return inline[:length]
        self._file.seek(struct.unpack(self.order + self._offset, inline)[0])
        return self._file.read(length)

    def _number(self, layout: str) -> int:
        layout = self.order + layout
        return int(struct.unpack(layout, self._file.read(struct.calcsize(layout)))[0])


def directories(source: Path) -> Sequence[Directory]:
    """Return the directories in file order; for a damaged file, those before the damage."""
    return list(_directories(source))


def _directories(source: Path) -> Iterator[Directory]:
    with source.open("rb") as file:
        try:
            reader = _DirectoryReader(file)
            place, seen, entries = reader.first, set[int](), 0
            while place and place not in seen and len(seen) < MOST_DIRECTORIES and entries < _MOST_ENTRIES_OF_ALL:
                seen.add(place)
                directory, place = reader.directory(place, _OF_A_PAGE)
                entries += len(directory.tags)
                yield directory
        except DAMAGED:
            return


@dataclass(frozen=True)
class Described:
    """The tags of a picture, from a TIFF or the EXIF block of another format, in four directories.

    :param interoperability: the directory to which that of the photo points.
    """

    image: Directory
    photo: Directory | None = None
    gps: Directory | None = None
    interoperability: Directory | None = None


def described(file: IO[bytes], number: int = 0) -> Described | None:
    """Return directory ``number`` with those of its EXIF; None if it cannot be read."""
    try:
        reader = _DirectoryReader(file)
        image, following = reader.directory(reader.first)
        for _ in range(number):
            image, following = reader.directory(following)
    except DAMAGED:
        return None
    photo = _subdirectory(reader, image, EXIF_DIRECTORY)
    interoperability = None if photo is None else _subdirectory(reader, photo, INTEROPERABILITY_DIRECTORY)
    return Described(image, photo, _subdirectory(reader, image, GPS_DIRECTORY), interoperability)


def _subdirectory(reader: _DirectoryReader, image: Directory, tag: int) -> Directory | None:
    place = image.number(tag)
    if not place:
        return None
    try:
        return reader.directory(place)[0]
    except DAMAGED:
        return None
