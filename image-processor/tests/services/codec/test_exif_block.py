"""EXIF in TIFFs, according to TIFF 6.0 and to the BigTIFF of libtiff, and read by tifffile."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import pyvips
import tifffile
from image_processor.services.codec.exif_block import (
    has_exif,
    with_exif_of_tiff,
    write_into_tiff,
)
from PIL import Image

from tests.support.images import photo

EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825
BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8, 12: 8, 13: 4, 16: 8}
"""Bytes of a value by its type (TIFF 6.0, page 15; BigTIFF adds 16)."""

Row = tuple[int, int, int, bytes]
"""Tag, type, number of values, and the value or its offset."""


def of_a_camera() -> pyvips.Image:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B], exif[0x8298] = "Maker", "Ada L.", "(c) Ada"
    exif.get_ifd(EXIF_DIRECTORY)[0x9003] = "2020:02:02 02:02:02"
    exif.get_ifd(GPS_DIRECTORY)[1] = "N"
    exif.get_ifd(GPS_DIRECTORY)[2] = (51.0, 30.0, 0.0)
    return pyvips.Image.jpegload_buffer(photo(format="JPEG", exif=exif))


@pytest.fixture(params=[False, True], ids=["TIFF", "BigTIFF"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a TIFF of an odd number of bytes, to which EXIF was added."""
    path = tmp_path / "a.tif"
    pyvips.Image.black(7, 5).tiffsave(str(path), bigtiff=request.param)
    content = path.read_bytes()
    path.write_bytes(content + bytes(1 - len(content) % 2))
    write_into_tiff(path, of_a_camera(), whole=True)
    return path


def directories(content: bytes) -> Iterator[tuple[int, Sequence[Row]]]:
    """Yield the place and the rows of the first directory, and of those of EXIF and of GPS."""
    big = content[2] == 43
    (place,) = struct.unpack_from("<Q", content, 8) if big else struct.unpack_from("<I", content, 4)
    yield place, (first := list(rows(content, place, big=big)))
    for tag, _, _, value in first:
        if tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
            (place,) = struct.unpack_from("<I", value)
            yield place, list(rows(content, place, big=big))


def rows(content: bytes, place: int, *, big: bool) -> Iterator[Row]:
    head, row = (
        (struct.Struct("<Q"), struct.Struct("<HHQ8s")) if big else (struct.Struct("<H"), struct.Struct("<HHI4s"))
    )
    (count,) = head.unpack_from(content, place)
    for number in range(count):
        yield row.unpack_from(content, place + head.size + number * row.size)


def test_directories_and_values_begin_at_even_places_and_tags_ascend(written: Path) -> None:
    """TIFF 6.0, pages 13 to 15: a directory and a value begin on a word boundary; entries are sorted by tag."""
    found = list(directories(written.read_bytes()))

    tags = [[tag for tag, *_ in entries] for _, entries in found]
    apart = [
        int.from_bytes(value, "little")
        for _, entries in found
        for _, kind, count, value in entries
        if BYTES[kind] * count > len(value)
    ]
    assert len(found) == 3
    assert [place % 2 for place, _ in found] == [0, 0, 0]
    assert tags == [sorted(each) for each in tags]
    assert apart
    assert [place % 2 for place in apart] == [0] * len(apart)


def test_tifffile_reads_what_was_written(written: Path) -> None:
    with tifffile.TiffFile(written) as file:
        tags = file.pages.first.tags
        values = {tag: tags[tag].value for tag in (0x010F, 0x013B, 0x8298)}
        photograph, place = tags[EXIF_DIRECTORY].value, tags[GPS_DIRECTORY].value
        assert file.pages.first.asarray().shape == (5, 7)

    assert values == {0x010F: "Maker", 0x013B: "Ada L.", 0x8298: "(c) Ada"}
    assert photograph["DateTimeOriginal"] == "2020:02:02 02:02:02"
    assert (place["GPSLatitudeRef"], place["GPSLatitude"]) == ("N", (51, 1, 30, 1, 0, 1))


@pytest.mark.parametrize(("length", "kept"), [(30_000, True), (33_000, False)])
def test_exif_that_is_too_long_for_a_jpeg_is_left_out(tmp_path: Path, length: int, kept: bool) -> None:
    """A segment of a JPEG has at most 65,533 bytes (ITU-T T.81, B.1.1.4)."""
    exif = Image.Exif()
    exif[0x010E] = "x" * length
    exif.get_ifd(EXIF_DIRECTORY)[0x9286] = b"ASCII\0\0\0" + b"y" * length
    loaded = Image.Exif()  # Pillow writes no directories into a TIFF unless they were loaded
    loaded.load(exif.tobytes())
    source = tmp_path / "a.tif"
    source.write_bytes(photo(format="TIFF", exif=loaded))

    assert has_exif(with_exif_of_tiff(pyvips.Image.black(1, 1), source)) == kept


def test_a_directory_that_only_libexif_would_add_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pyvips.Image.black(7, 5).tiffsave(str(path))
    image = pyvips.Image.black(7, 5).copy()
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", "Maker (Maker, ASCII, 6 components, 6 bytes)")

    write_into_tiff(path, image, whole=True)

    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        assert tags[0x010F].value == "Maker"
        assert EXIF_DIRECTORY not in tags
