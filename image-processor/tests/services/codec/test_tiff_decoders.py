"""Which compressions of a TIFF have a decoder: those that Pixmill names to users, and no others."""

import struct
from collections.abc import Collection

import pytest
import pyvips
import tifffile
from image_processor.services.codec import complaints, tiff
from image_processor.services.codec.tiff_decoders import _has_decoder, is_decodable

from tests.support.images import photo


def compressed(compression: int, kind: int = 3) -> tiff.Directory:
    data = compression.to_bytes({3: 2, 4: 4, 16: 8}[kind], "little")
    return tiff.Directory("<", {tiff.COMPRESSION: tiff.Entry(kind, 1, data)})


def test_the_compressions_that_are_listed_for_users_have_a_decoder() -> None:
    """Deflate, LZW, PackBits, CCITT, JPEG and WebP, by their numbers in TIFF 6.0 and in libtiff."""
    for number in (1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946, 50001):
        assert is_decodable(compressed(number)), number
    assert is_decodable(tiff.Directory("<"))


@pytest.mark.parametrize("number", [34712, 34887, 34925, 50000, 50002, 65535])
def test_other_compressions_have_none(number: int) -> None:
    assert not is_decodable(compressed(number))


@pytest.mark.parametrize(("number", "kind"), [(2**16, 4), (2**32 - 1, 4), (2**64 - 1, 16)])
def test_a_number_that_libtiff_cannot_hold_is_not_a_compression(number: int, kind: int) -> None:
    assert not is_decodable(compressed(number, kind))


def is_read_by_libtiff(compression: int) -> bool:
    """Return whether libtiff has a decoder; it says so before it looks at the pixels."""
    tags = {256: 1, 257: 1, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = struct.pack("<2sHIIH", b"II", 42, 12, 0, len(tags)) + rows + bytes(4)
    try:
        pyvips.Image.tiffload_buffer(content, fail_on="error").copy_memory()
    except pyvips.Error as error:
        return "not configured" not in error.detail and "not implemented" not in error.detail
    return True


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(sorted(set(map(int, tifffile.COMPRESSION)) - {0}), id="named by tifffile"),
        pytest.param(range(1, 2**16), id="all", marks=pytest.mark.thorough),
    ],
)
def test_every_compression_that_libtiff_reads_has_a_decoder(numbers: Collection[int]) -> None:
    decodable = [number for number in numbers if is_decodable(compressed(number))]

    assert len(decodable) > 10
    assert decodable == [number for number in numbers if is_read_by_libtiff(number)]


def test_a_file_of_many_compressions_needs_few_tries() -> None:
    _has_decoder.cache_clear()

    for number in range(2**16):
        is_decodable(compressed(number))

    assert _has_decoder.cache_info().misses <= len(tifffile.COMPRESSION)


def test_trying_the_decoders_is_not_a_complaint_about_the_file() -> None:
    """libjpeg warns of the pixel that the decoders are tried with."""
    _has_decoder.cache_clear()
    complaints.forget()

    for number in tifffile.COMPRESSION:
        is_decodable(compressed(number))

    assert complaints.lost_pixels() is None
    assert complaints.causes("") == ""


def test_complaints_from_before_the_decoders_are_tried_are_kept() -> None:
    _has_decoder.cache_clear()
    complaints.forget()
    pyvips.Image.jpegload_buffer(photo(format="JPEG")[:-200], fail_on="none").avg()

    is_decodable(compressed(7))

    assert complaints.lost_pixels() == "premature end of JPEG image"
