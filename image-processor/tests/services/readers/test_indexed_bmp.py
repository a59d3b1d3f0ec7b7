"""BMP with a palette: pixels as OpenCV decodes them, and a refusal where they are missing."""

import struct
import sys
from collections.abc import Sequence

import cv2
import numpy
import pytest
from image_processor.services.codec.decoding import ImageError
from image_processor.services.readers.indexed_bmp import HEAD, decoded, indexed_bmp

from tests.support.algorithm_runs import processed
from tests.support.images import opened, pixels

KEPT = {"format": "png"}
LINE, BITMAP = b"\0\0", b"\0\1"
"""The ends of a line and of the bitmap."""
ROWS = [b"\4\1\4\2", b"\x08\3", b"\0\3\0\1\2\0\5\1", b"\x08\1"]
"""Rows of eight pixels from the lowest; the third has an absolute run of three, padded to four bytes."""
ALL = LINE.join(ROWS)
COLORS = ((10, 200, 30), (220, 40, 50), (60, 70, 240), (90, 190, 10))


Colors = Sequence[tuple[int, int, int]]


def bmp(
    pixels: bytes,
    bits: int = 8,
    compression: int = 1,
    colors: Colors = COLORS,
    *,
    used: int | None = None,
    size: tuple[int, int] = (8, 4),
) -> bytes:
    """Return a BMP with these runs (BITMAPINFOHEADER of Windows GDI).

    :param compression: 0, or 1 and 2 for runs of 8 and 4 bits per pixel.
    :param used: the number of colors according to the header.
    :param size: the width and height.
    """
    palette = b"".join(bytes([blue, green, red, 0]) for red, green, blue in colors)
    start, used = 54 + len(palette), len(colors) if used is None else used
    head = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, compression, len(pixels), 0, 0, used, 0)
    return b"BM" + struct.pack("<I4xI", start + len(pixels), start) + head + palette + pixels


BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))
GRAYS = [(level, level, level) for level in range(256)]
ANY = numpy.random.default_rng(4).integers(0, 256, 32, "uint8").tobytes()

WHOLE = {
    "every end": bmp(ALL + LINE + BITMAP),
    "no end of the bitmap": bmp(ALL),
    "half of an end": bmp(ALL + b"\0"),
    "no end of a line": bmp(b"".join(ROWS)),
    "an empty row": bmp(ROWS[0] + LINE + LINE + ROWS[2] + LINE + ROWS[3] + BITMAP),
    "an empty first row": bmp(LINE + LINE.join(ROWS[1:]) + BITMAP),
    "a short row": bmp(LINE.join([ROWS[0], b"\4\3", *ROWS[2:]]) + BITMAP),
    "a jump": bmp(ROWS[0] + LINE + b"\0\2\3\1\5\3" + LINE + ROWS[3] + BITMAP),
    "the bitmap ends before its last row": bmp(LINE.join(ROWS[:3]) + BITMAP),
    "the bitmap ends in a row": bmp(LINE.join(ROWS[:3]) + LINE + b"\4\1" + BITMAP),
    "four bits": bmp(LINE.join([b"\x08\x12", b"\x07\x30", b"\0\5\x12\x30\x20\0\3\x11", b"\x08\1"]) + BITMAP, 4, 2),
    "black and white": bmp(b"\4\0\4\1" * 4 + BITMAP, colors=BLACK_AND_WHITE),
    "black and white in 8 bits": bmp(bytes([0, 1, 1, 0, 0, 0, 1, 0]) * 4, 8, 0, BLACK_AND_WHITE),
    "black and white in 4 bits": bmp(b"\x01\x10\x11\0" * 4, 4, 0, BLACK_AND_WHITE),
    "dark grays in 4 bits": bmp(ANY[:16], 4, 0, GRAYS[:16]),
    "grays": bmp(ANY, 8, 0, GRAYS),
    "bits": bmp(ANY[:16], 1, 0, COLORS[:2]),
    "no number of colors": bmp(ANY[:16], 4, 0, COLORS * 4, used=0),
}


@pytest.mark.parametrize("name", WHOLE)
def test_pixels_are_those_of_another_program(name: str) -> None:
    expected = cv2.imdecode(numpy.frombuffer(WHOLE[name], "uint8"), cv2.IMREAD_COLOR)

    result = opened(processed(WHOLE[name], "convert", KEPT)).convert("RGB")

    assert expected is not None
    assert numpy.array_equal(numpy.asarray(result), expected[..., ::-1])


def test_what_exceeds_a_row_is_covered_by_the_next() -> None:
    """ImageMagick, Chromium and Pillow agree on this; OpenCV does not."""
    longer = bmp(LINE.join([ROWS[0] + b"\4\3", *ROWS[1:]]) + BITMAP)

    assert (pixels(processed(longer, "convert", KEPT)) == pixels(processed(WHOLE["every end"], "convert", KEPT))).all()


def of_short_runs(bits: int, longest: int) -> bytes:
    """Return a BMP of 5600 × 3 pixels with runs of random colors and of 1 to ``longest`` pixels."""
    random = numpy.random.default_rng(bits)
    counts = numpy.tile(numpy.arange(longest) + 1, 5600 // (longest * (longest + 1) // 2)).astype("uint8")
    rows = [numpy.column_stack([counts, random.integers(0, 256, len(counts), "uint8")]).tobytes() for _ in range(3)]
    return bmp(LINE.join(rows) + BITMAP, bits, 1 if bits == 8 else 2, GRAYS[: 2**bits], size=(5600, 3))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("longest", [1, 7])
def test_runs_of_few_pixels_are_decoded_together(longest: int, bits: int) -> None:
    """Python takes a microsecond for each call, and an image may have 100 million pixels."""
    content = of_short_runs(bits, longest)
    layout = indexed_bmp(content[:HEAD])
    assert layout is not None
    calls: list[str] = []

    sys.setprofile(lambda frame, event, _: calls.append(f"{event} {frame.f_code.co_name}"))
    try:
        image = decoded(content, layout)
    finally:
        sys.setprofile(None)

    expected = cv2.imdecode(numpy.frombuffer(content, "uint8"), cv2.IMREAD_GRAYSCALE)
    assert expected is not None
    assert numpy.array_equal(image.numpy(), expected)
    assert len(calls) < 2000  # of at least 4200 runs


def test_a_bmp_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    jump = b"\0\2\0\0"
    most, more = (bmp(jump * jumps + b"\x20\1" + BITMAP) for jumps in (5, 6))
    monkeypatch.setattr("image_processor.services.readers.indexed_bmp._MOST_PARTS", 5)
    assert opened(processed(most, "convert", KEPT)).getcolors() == [(32, COLORS[1])]

    with pytest.raises(ImageError, match=r"^The compression of this BMP has more than 5 parts: save it without"):
        processed(more, "convert", KEPT)


@pytest.mark.parametrize("ending", [b"", LINE, LINE + b"\4\1", LINE + b"\0\6\1\1", LINE + b"\0\2\1", LINE + b"\4"])
def test_a_file_that_ends_before_its_pixels_is_truncated(ending: bytes) -> None:
    with pytest.raises(ImageError, match=r"^The image is damaged: the file is truncated\.$"):
        processed(bmp(LINE.join(ROWS[:3]) + ending), "convert", KEPT)


def test_more_colors_than_numbers_are_ignored() -> None:
    """OpenCV and Pillow refuse them; Chromium shows these pixels."""
    more, grays = bmp(ANY, 8, 0, [*GRAYS, *COLORS]), WHOLE["grays"]

    assert (pixels(processed(more, "convert", KEPT)) == pixels(processed(grays, "convert", KEPT))).all()


def test_a_bmp_may_have_two_bits_per_pixel() -> None:
    """OpenCV and Pillow refuse it; Chromium shows these colors."""
    result = pixels(processed(bmp(b"\x1b\xe4\0\0" * 4, 2, 0), "convert", KEPT))

    assert result.tolist() == [[list(COLORS[number]) for number in (0, 1, 2, 3, 3, 2, 1, 0)]] * 4


def test_pixels_without_runs_may_be_truncated_too() -> None:
    whole = WHOLE["grays"]

    with pytest.raises(ImageError, match=r"^The image is damaged: the file is truncated\.$"):
        processed(whole[:-1], "convert", KEPT)


@pytest.mark.parametrize(("place", "value"), [(18, 0), (18, -8), (22, 0), (46, -1)])
def test_a_bmp_without_pixels_or_with_too_many_colors_is_damaged(place: int, value: int) -> None:
    source = bytearray(WHOLE["grays"])
    source[place : place + 4] = struct.pack("<i", value)

    with pytest.raises(ImageError, match=r"^The image is damaged: its header is invalid\.$"):
        processed(bytes(source), "convert", KEPT)


def test_the_top_row_may_come_first() -> None:
    source = bytearray(WHOLE["grays"])
    source[22:26] = struct.pack("<i", -4)

    turned = pixels(processed(bytes(source), "convert", KEPT))

    assert (turned == pixels(processed(WHOLE["grays"], "convert", KEPT))[::-1]).all()
