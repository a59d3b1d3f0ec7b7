"""Run-length encoded BMP: pixels as OpenCV decodes them, and a refusal where they are missing."""

import struct

import cv2
import numpy
import pytest
from image_processor.services.codec.decoding import ImageError

from tests.support.algorithm_runs import processed
from tests.support.images import opened, pixels

KEPT = {"format": "png"}
LINE, BITMAP = b"\0\0", b"\0\1"
"""The ends of a line and of the bitmap."""
ROWS = [b"\4\1\4\2", b"\x08\3", b"\0\3\0\1\2\0\5\1", b"\x08\1"]
"""Rows of eight pixels from the lowest; the third has an absolute run of three, padded to four bytes."""
ALL = LINE.join(ROWS)
COLORS = ((10, 200, 30), (220, 40, 50), (60, 70, 240), (90, 190, 10))


def bmp(pixels: bytes, *, half: bool = False, colors: tuple[tuple[int, int, int], ...] = COLORS) -> bytes:
    """Return a BMP of 8 × 4 pixels with these runs (BITMAPINFOHEADER of Windows GDI).

    :param half: a byte of a run contains two color numbers of four bits.
    """
    palette = b"".join(bytes([blue, green, red, 0]) for red, green, blue in colors)
    bits, compression, start = (4, 2, 54 + len(palette)) if half else (8, 1, 54 + len(palette))
    head = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, bits, compression, len(pixels), 0, 0, len(colors), 0)
    return b"BM" + struct.pack("<I4xI", start + len(pixels), start) + head + palette + pixels


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
    "four bits": bmp(LINE.join([b"\x08\x12", b"\x07\x30", b"\0\5\x12\x30\x20\0\3\x11", b"\x08\1"]) + BITMAP, half=True),
    "two colors": bmp(b"\4\0\4\1" * 4 + BITMAP, colors=((0, 0, 0), (255, 255, 255))),
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


@pytest.mark.parametrize("ending", [b"", LINE, LINE + b"\4\1", LINE + b"\0\6\1\1", LINE + b"\0\2\1", LINE + b"\4"])
def test_a_file_that_ends_before_its_pixels_is_truncated(ending: bytes) -> None:
    with pytest.raises(ImageError, match=r"^The image is damaged: the file is truncated\.$"):
        processed(bmp(LINE.join(ROWS[:3]) + ending), "convert", KEPT)
