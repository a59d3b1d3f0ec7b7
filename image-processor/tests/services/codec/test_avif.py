"""Colors in the AV1 stream of an AVIF, compared with the box that libavif writes next to it."""

import random
import struct
from pathlib import Path

import imagecodecs
import numpy
import pytest
from image_processor.services.codec.avif import colors_of_stream
from image_processor.services.codec.decoding import ImageError

from tests.support.algorithm_runs import processed
from tests.support.images import opened, pixels

COLOR = (200, 100, 40)
FLAT = numpy.full((64, 64, 3), COLOR, "uint8")
PICTURES = {
    "8 bits": FLAT,
    "16 bits": FLAT.astype("uint16") * 16,
    "alpha": numpy.dstack([FLAT, FLAT[..., 0]]),
    "gray": FLAT[..., 0].copy(),
    "a sequence": numpy.stack([FLAT, FLAT // 2]),
}


def avif(primaries: int, transfer: int, picture: str = "8 bits") -> bytes:
    array = PICTURES[picture]
    bits = 12 if array.dtype == "uint16" else 8
    return bytes(
        imagecodecs.avif_encode(array, level=95, bitspersample=bits, primaries=primaries, transfer=transfer, matrix=6)
    )


def without_box(content: bytes) -> bytes:
    """Return the AVIF with its colors only in the stream."""
    assert content.count(b"colrnclx") >= 1
    return content.replace(b"colrnclx", b"freenclx")


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("colors", [(1, 13), (2, 2), (9, 16), (12, 13)])
def test_the_stream_has_the_colors_of_the_box(tmp_path: Path, colors: tuple[int, int], picture: str) -> None:
    source, content = tmp_path / "source", avif(*colors, picture)
    source.write_bytes(content)

    place = content.index(b"colrnclx") + 8
    assert colors_of_stream(source) == colors == struct.unpack_from(">HH", content, place)


def test_colors_that_only_the_stream_describes_are_converted() -> None:
    with_box = processed(avif(12, 13), "convert", {"format": "png", "profile": "strip"})

    without = processed(without_box(avif(12, 13)), "convert", {"format": "png", "profile": "strip"})

    assert numpy.array_equal(pixels(without), pixels(with_box))
    assert numpy.abs(pixels(without)[8, 8] - COLOR).max() > 10


def test_srgb_that_only_the_stream_describes_gets_no_profile() -> None:
    assert "icc_profile" not in opened(processed(without_box(avif(1, 13)), "convert", {"format": "png"})).info


def test_high_dynamic_range_that_only_the_stream_describes_is_refused() -> None:
    with pytest.raises(ImageError, match="AVIF have high dynamic range"):
        processed(without_box(avif(9, 16)), "convert", {"format": "png"})


def test_damage_is_not_an_error(tmp_path: Path) -> None:
    source, content = tmp_path / "source", avif(12, 13)
    chance = random.Random(1)
    for length in range(0, len(content), 9):
        source.write_bytes(content[:length])
        assert colors_of_stream(source) in (None, (12, 13))
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        source.write_bytes(damaged)
        found = colors_of_stream(source)
        assert found is None or max(found) < 256
