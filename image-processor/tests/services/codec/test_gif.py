"""Damaged GIFs are refused, and parts of the canvas that no frame has painted are transparent.

The expected pictures are those of Chromium; Pillow decides what is damaged.
"""

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest
from image_processor.imaging.source import Source
from image_processor.services.codec.decoding import ImageError, decode
from image_processor.services.codec.limits import ImageLimits
from PIL import Image, ImageSequence

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened

LIMITS = ImageLimits(10_000, 10)
GREEN, BLUE = 1, 2
KEEP, CLEAR, UNDO, UNDO_TOO = 1, 2, 3, 4
NOTHING = 3
"""The color that is transparent in frames with it."""
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
    "the first frame undone": (
        [(WHOLE, GREEN, UNDO), (CORNER, BLUE, KEEP)],
        ["GGGG GGGG GGGG GGGG", ".... .... .... ...B"],
    ),
    "undone by the undefined method 4": (
        [(MIDDLE, GREEN, KEEP), (CORNER, BLUE, UNDO_TOO), (MIDDLE, BLUE, KEEP)],
        [".... .GG. .GG. ....", ".... .GG. .GG. ...B", ".... .BB. .BB. ...."],
    ),
    "a cleared canvas behind transparent pixels": (
        [(WHOLE, GREEN, CLEAR), (WHOLE, NOTHING, KEEP), (CORNER, BLUE, KEEP)],
        ["GGGG GGGG GGGG GGGG", ".... .... .... ....", ".... .... .... ...B"],
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

    last = decode(tmp_path / "source", LIMITS, sequential=True, wanted=Source(page=len(shown))).picture.first

    rgba = last if last.hasalpha() else last.bandjoin(255)
    assert as_letters(bytes(rgba.write_to_memory())) == shown[-1]


def test_a_fully_painted_gif_stays_opaque(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(gif(ANIMATIONS["everything painted"][0]))

    assert not decode(tmp_path / "source", LIMITS, sequential=True).picture.first.hasalpha()


def noisy(frames: int) -> bytes:
    """Return a GIF whose pixels do not compress, so that damage of the file is damage of its pixels."""
    generator = numpy.random.default_rng(1)
    first, *others = [Image.fromarray(generator.integers(0, 255, (30, 40), "uint8")) for _ in range(frames)]
    return encoded(first, "GIF", save_all=True, append_images=others)


@pytest.mark.parametrize("part", [0.35, 0.6, 0.9, 0.999])
def test_a_truncated_animation_is_refused(part: float) -> None:
    content = noisy(4)

    with pytest.raises(ImageError, match="cannot be decoded: the file is truncated"):
        processed(content[: int(len(content) * part)], "info")


def test_a_gap_between_frames_loses_no_frame_in_silence() -> None:
    content = bytearray(noisy(4))
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)

    with pytest.raises(ImageError, match="cannot be decoded"):
        processed(bytes(content), "info")


def test_frames_that_libvips_does_not_find_are_an_error() -> None:
    whole = gif([(WHOLE, GREEN, KEEP)])
    with_an_unknown_code_size = b"\x2c" + struct.pack("<HHHHB", 0, 0, 9, 9, 0) + b"\x0c\x01\0\0"

    with pytest.raises(ImageError, match="truncated or corrupt"):
        processed(whole.removesuffix(b";") + with_an_unknown_code_size + b";", "info")


def test_a_frame_before_the_damage_is_read(tmp_path: Path) -> None:
    content = noisy(4)
    (tmp_path / "source").write_bytes(content[: int(len(content) * 0.6)])

    first = decode(tmp_path / "source", LIMITS, sequential=True, wanted=Source(page=1)).picture.first

    assert numpy.array_equal(first.numpy()[..., 0], numpy.asarray(opened(content).convert("RGB"))[..., 0])


@pytest.mark.parametrize("ending", [b"", b";more", b"\0;", b"\r\n;", b"GIF89a"])
def test_an_unusual_end_after_the_last_frame_loses_nothing(ending: bytes) -> None:
    content = noisy(2)

    assert report(content.removesuffix(b";") + ending, "info")["frames"] == 2


@pytest.mark.parametrize("seed", range(30))
def test_overwritten_bytes_are_found_where_another_decoder_finds_them(seed: int, tmp_path: Path) -> None:
    content, generator = bytearray(noisy(1)), random.Random(seed)
    start = generator.randrange(800, len(content) - 60)
    content[start : start + 50] = generator.randbytes(50)
    (tmp_path / "source").write_bytes(content)

    assert is_refused(tmp_path / "source") == is_refused_by_pillow(tmp_path / "source")


def is_refused(source: Path) -> bool:
    try:
        decode(source, LIMITS, sequential=True)
    except ImageError:
        return True
    return False


def is_refused_by_pillow(source: Path) -> bool:
    try:
        Image.open(source).load()
    except (OSError, SyntaxError, EOFError):
        return True
    return False


def gif(painted: Sequence[Painted]) -> bytes:
    """Return a GIF of 4 x 4 pixels, without a transparent color."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x81, 0, 0) + RED_GREEN_BLUE_WHITE
    return screen + b"".join(frame(*values) for values in painted) + b";"


def frame(area: tuple[int, int, int, int], color: int, disposal: int) -> bytes:
    control = b"\x21\xf9\x04" + struct.pack("<BHB", disposal << 2 | (color == NOTHING), 10, NOTHING) + b"\0"
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
