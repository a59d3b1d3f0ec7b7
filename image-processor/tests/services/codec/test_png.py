"""Metadata after the pixels of a PNG, where ExifTool writes it, and EXIF that begins as in a JPEG."""

import struct
import zlib

import numpy
import pytest
from PIL import Image, ImageOps

from tests.support.algorithm_runs import processed
from tests.support.images import opened, photo, pixels
from tests.support.turned import MARKED_IN_PNG, png_with, size_of

COPYRIGHT, ORIENTATION = 0x8298, 0x0112
XMP = (
    b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    b"<dc:rights><rdf:Alt><rdf:li>Ada</rdf:li></rdf:Alt></dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
)


MARK = b"Exif\0\0"


def exif(tag: int, value: int | str) -> bytes:
    block = Image.Exif()
    block[tag] = value
    return block.tobytes().removeprefix(MARK)


CHUNKS = {
    "EXIF": (b"eXIf", exif(COPYRIGHT, "Ada")),
    "XMP": (b"iTXt", XMP),
    "text": (b"tEXt", b"Author\0Ada"),
    "compressed text": (b"zTXt", b"Author\0\0" + zlib.compress(b"Ada")),
}


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(place: bytes, added: bytes) -> bytes:
    """Return a PNG with this chunk before the one named ``place``."""
    content = photo()
    start = content.index(place) - 4
    return content[:start] + added + content[start:]


@pytest.mark.parametrize("metadata", ["keep", "copyright"])
@pytest.mark.parametrize("name", CHUNKS)
def test_metadata_after_the_pixels_is_kept_as_that_before_them(name: str, metadata: str) -> None:
    added, output = chunk(*CHUNKS[name]), {"format": "png", "metadata": metadata}

    after = processed(with_chunk(b"IEND", added), "convert", output)

    assert after == processed(with_chunk(b"IDAT", added), "convert", output)


def test_texts_before_and_after_the_pixels_are_all_kept() -> None:
    content = with_chunk(b"IDAT", chunk(b"tEXt", b"Author\0Ada"))
    content = content.replace(chunk(b"IEND", b""), chunk(b"tEXt", b"Title\0Rain") + chunk(b"IEND", b""))

    result = opened(processed(content, "convert", {"format": "png", "metadata": "keep"}))

    assert (result.info["Author"], result.info["Title"]) == ("Ada", "Rain")


def test_the_copyright_after_the_pixels_is_that_of_a_jpeg() -> None:
    result = processed(with_chunk(b"IEND", chunk(*CHUNKS["EXIF"])), "convert", {"format": "jpeg"})

    assert opened(result).getexif()[COPYRIGHT] == "Ada"


def test_an_orientation_after_the_pixels_turns_nothing() -> None:
    content = with_chunk(b"IEND", chunk(b"eXIf", exif(ORIENTATION, 6)))

    result = processed(content, "convert", {"format": "png", "metadata": "keep"})

    assert (pixels(result) == pixels(photo())).all()
    assert ORIENTATION not in opened(result).getexif()


def test_a_chunk_with_a_wrong_checksum_is_left_out() -> None:
    broken = chunk(*CHUNKS["text"])[:-1] + b"?"

    result = processed(with_chunk(b"IEND", broken), "convert", {"format": "png", "metadata": "keep"})

    assert "Author" not in opened(result).info
    assert (pixels(result) == pixels(photo())).all()


def test_more_texts_than_libvips_reads_lose_no_pixels() -> None:
    content = with_chunk(b"IEND", b"".join(chunk(b"tEXt", b"Note\0%d" % number) for number in range(100)))

    assert (pixels(processed(content, "convert", {"format": "png"})) == pixels(photo())).all()


def test_what_follows_the_end_is_not_read() -> None:
    content = photo() + chunk(*CHUNKS["text"])

    assert "Author" not in opened(processed(content, "convert", {"format": "png", "metadata": "keep"})).info


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_that_begins_as_in_a_jpeg_turns_the_image(orientation: int) -> None:
    content = with_chunk(b"IDAT", chunk(b"eXIf", MARK + exif(ORIENTATION, orientation)))

    result = opened(processed(content, "convert", {"format": "png", "metadata": "keep"}))

    assert numpy.array_equal(numpy.asarray(result), numpy.asarray(ImageOps.exif_transpose(opened(content))))
    assert result.getexif().get(ORIENTATION, 1) == 1


def test_exif_turns_the_image_even_with_a_wrong_checksum() -> None:
    plain, marked = (chunk(b"eXIf", mark + exif(ORIENTATION, 6))[:-1] + b"?" for mark in (b"", MARK))

    result = pixels(processed(with_chunk(b"IDAT", marked), "convert", {"format": "png"}))

    assert result.shape == pixels(photo()).swapaxes(0, 1).shape
    assert (result == pixels(processed(with_chunk(b"IDAT", plain), "convert", {"format": "png"}))).all()


@pytest.mark.parametrize("name", MARKED_IN_PNG)
def test_exif_that_begins_as_in_a_jpeg_counts_as_in_the_file_storage(name: str) -> None:
    blocks, is_turned = MARKED_IN_PNG[name]

    assert opened(processed(png_with(blocks()), "convert", {"format": "png"})).size == size_of(is_turned)


def test_thousands_of_chunks_may_stand_before_exif_that_begins_as_in_a_jpeg() -> None:
    content = png_with([MARK + exif(ORIENTATION, 6)], before=5000)

    assert opened(processed(content, "convert", {"format": "png"})).size == size_of(is_turned=True)


@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
def test_metadata_that_begins_as_in_a_jpeg_is_that_which_does_not(place: bytes) -> None:
    block, output = exif(COPYRIGHT, "Ada"), {"format": "png"}

    marked = processed(with_chunk(place, chunk(b"eXIf", MARK + block)), "convert", output)

    assert marked == processed(with_chunk(place, chunk(b"eXIf", block)), "convert", output)
    assert opened(marked).getexif()[COPYRIGHT] == "Ada"


@pytest.mark.parametrize("block", [MARK, MARK + b"II*\0", MARK + MARK + exif(ORIENTATION, 6)])
def test_a_damaged_exif_that_begins_as_in_a_jpeg_turns_nothing(block: bytes) -> None:
    result = processed(with_chunk(b"IDAT", chunk(b"eXIf", block)), "convert", {"format": "png"})

    assert (pixels(result) == pixels(photo())).all()
