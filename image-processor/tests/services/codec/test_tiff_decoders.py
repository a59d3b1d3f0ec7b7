"""Which compressions of a TIFF have a decoder: those that Pixmill names to users, and no others."""

import pytest
from image_processor.services.codec import tiff
from image_processor.services.codec.tiff_decoders import is_decodable


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
