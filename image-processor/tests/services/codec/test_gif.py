"""Parts of a GIF's canvas that no frame has painted are transparent. The expected pictures are those of Chromium."""

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from image_processor.imaging.source import Source
from image_processor.services.codec.decoding import decode
from image_processor.services.codec.limits import Limits
from PIL import ImageSequence

from tests.support.algorithm_runs import processed
from tests.support.images import opened

GREEN, BLUE = 1, 2
KEEP, CLEAR, UNDO = 1, 2, 3
RED_GREEN_BLUE_WHITE = bytes.fromhex("ff0000 00ff00 0000ff ffffff")
WHOLE, MIDDLE, CORNER = (0, 0, 4, 4), (1, 1, 2, 2), (3, 3, 1, 1)
Painted = tuple[tuple[int, int, int, int], int, int]
"""A frame: its rectangle (left, top, width, height), its color and its disposal method."""

ANIMATIONS: dict[str, tuple[Sequence[Painted], Sequence[str]]] = {
    "one frame in the middle": ([(MIDDLE, GREEN, 0)], [".... .GG. .GG. ...."]),
    "the second frame next to the first": (
        [(MIDDLE, GREEN, KEEP), (CORNER, BLUE, KEEP)],
        [".... .GG. .GG. ....", ".... .GG. .GG. ...B"],
    ),
    "the first frame cleared": (
        [(WHOLE, GREEN, CLEAR), (CORNER, BLUE, KEEP)],
        ["GGGG GGGG GGGG GGGG", ".... .... .... ...B"],
    ),
    "the second frame undone": (
        [(MIDDLE, GREEN, KEEP), (CORNER, BLUE, UNDO), (MIDDLE, BLUE, KEEP)],
        [".... .GG. .GG. ....", ".... .GG. .GG. ...B", ".... .BB. .BB. ...."],
    ),
    "everything painted": (
        [(WHOLE, GREEN, KEEP), (CORNER, BLUE, KEEP)],
        ["GGGG GGGG GGGG GGGG", "GGGG GGGG GGGG GGGB"],
    ),
}


@pytest.mark.parametrize("name", ANIMATIONS)
def test_what_no_frame_has_painted_is_transparent(name: str) -> None:
    painted, shown = ANIMATIONS[name]

    result = opened(processed(gif(painted), "convert", {"format": "webp", "lossless": True}))

    assert [as_letters(frame.convert("RGBA").tobytes()) for frame in ImageSequence.all_frames(result)] == shown


@pytest.mark.parametrize("name", ANIMATIONS)
def test_a_chosen_frame_has_the_same_gaps(name: str, tmp_path: Path) -> None:
    painted, shown = ANIMATIONS[name]
    (tmp_path / "source").write_bytes(gif(painted))

    last = decode(tmp_path / "source", Limits(100, 10), sequential=True, wanted=Source(page=len(shown))).picture.first

    rgba = last if last.hasalpha() else last.bandjoin(255)
    assert as_letters(bytes(rgba.write_to_memory())) == shown[-1]


def test_a_fully_painted_gif_stays_opaque(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(gif(ANIMATIONS["everything painted"][0]))

    assert not decode(tmp_path / "source", Limits(100, 10), sequential=True).picture.first.hasalpha()


def gif(painted: Sequence[Painted]) -> bytes:
    """Return a GIF of 4 x 4 pixels, without a transparent color."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x81, 0, 0) + RED_GREEN_BLUE_WHITE
    return screen + b"".join(frame(*values) for values in painted) + b";"


def frame(area: tuple[int, int, int, int], color: int, disposal: int) -> bytes:
    control = b"\x21\xf9\x04" + struct.pack("<BHB", disposal << 2, 10, 0) + b"\0"
    return control + b"\x2c" + struct.pack("<HHHHB", *area, 0) + uncompressed(color, area[2] * area[3])


def uncompressed(color: int, pixels: int) -> bytes:
    """Return pixels of a color as LZW codes of three bits, with a clear code before each."""
    codes = [code for _ in range(pixels) for code in (4, color)] + [5]
    packed = sum(code << 3 * place for place, code in enumerate(codes)).to_bytes(len(codes) * 3 // 8 + 1, "little")
    return bytes([2, len(packed)]) + packed + b"\0"


def as_letters(rgba: bytes) -> str:
    letters = ["G" if green else "B" if blue else "R" for _, green, blue, _ in struct.iter_unpack("4B", rgba)]
    shown = [letter if alpha else "." for letter, alpha in zip(letters, rgba[3::4], strict=True)]
    return " ".join("".join(shown[start : start + 4]) for start in range(0, 16, 4))
