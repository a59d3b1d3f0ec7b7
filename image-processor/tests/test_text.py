"""Text marks: the drawn characters, their fonts, and their readability; compared with Pillow and NumPy."""

import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from image_processor.services.codec.decoding import ImageError
from image_processor.services.codec.plan import plan_of
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from service_kit.errors import DomainError

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, pixels

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FONTS = Path(__file__).parent / "fonts"
NOWHERE = 0xE123
"""A private-use character that only symbol fonts contain."""


def plain(color: int | tuple[int, int, int], size: tuple[int, int] = (600, 200)) -> bytes:
    return encoded(Image.new("RGB", size, (color,) * 3 if isinstance(color, int) else color), "PNG")


def written_with(fonts: list[Path], folder: Path, text: str, **mark: str) -> subprocess.CompletedProcess[bytes]:
    """Draw the text in white on black, in a process that finds only these fonts."""
    for name in ("fonts", "cache"):
        (folder / name).mkdir()
    for font in fonts:
        (folder / "fonts" / font.name).write_bytes(font.read_bytes())
    config = folder / "fonts.conf"
    config.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>"
    )
    params = {"mark": {"text": text, "outline": "none", **mark}, "scale": 90, "opacity": 100, "gravity": "center"}
    code = (
        "import sys; from tests.support.algorithm_runs import processed; "
        "from image_processor.services.codec.decoding import ImageError\n"
        f"try: sys.stdout.buffer.write(processed(sys.stdin.buffer.read(), 'watermark', {params!r}))\n"
        "except ImageError as error: sys.exit(str(error))"
    )
    environment = {**os.environ, "FONTCONFIG_FILE": str(config)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, input=plain(0), capture_output=True, check=False, cwd=ROOT, env=environment)


def cropped(ink: numpy.ndarray) -> numpy.ndarray:
    rows, columns = numpy.nonzero(ink.max(axis=1) > 127)[0], numpy.nonzero(ink.max(axis=0) > 127)[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def test_chinese_matches_pillow_if_a_font_for_it_is_installed(tmp_path: Path) -> None:
    run = written_with([FONTS / "cjk.ttf"], tmp_path, "漢字水印")

    assert run.returncode == 0, run.stderr
    ink = cropped(numpy.asarray(opened(run.stdout).convert("L")))
    canvas = Image.new("L", (1200, 400))
    ImageDraw.Draw(canvas).text((20, 20), "漢字水印", font=ImageFont.truetype(FONTS / "cjk.ttf", 200), fill=255)
    drawn = Image.fromarray(cropped(numpy.asarray(canvas))).resize(ink.shape[::-1], Image.Resampling.LANCZOS)
    ours, pillows = ink > 127, numpy.asarray(drawn) > 127
    assert (ours & pillows).sum() / (ours | pillows).sum() > 0.8


def test_characters_that_no_font_has_are_named(tmp_path: Path) -> None:
    run = written_with([], tmp_path, "Rain 漢字, 漢!")

    assert run.returncode == 1
    reason = run.stderr.decode().strip()
    assert reason == (
        "No font on the worker's machine has the characters '漢' (U+6F22), '字' (U+5B57): install a font that does, or "
        "remove these characters from the text."
    )


def test_one_of_several_characters_may_be_missing(tmp_path: Path) -> None:
    run = written_with([FONTS / "cjk.ttf"], tmp_path, "漢字한")

    assert "the character '한' (U+D55C): install a font" in run.stderr.decode()


def test_emoji_have_the_colors_of_their_font(tmp_path: Path) -> None:
    run = written_with([FONTS / "emoji.ttf"], tmp_path, "😀", color="#0000ff")

    assert run.returncode == 0, run.stderr
    seen = numpy.asarray(opened(run.stdout).convert("RGB")).astype(int)
    yellow = (seen[..., 0] > 200) & (seen[..., 1] > 150) & (seen[..., 2] < 120)
    assert yellow.sum() > 0.5 * (seen.max(axis=2) > 30).sum()


def test_emoji_without_a_font_are_named(tmp_path: Path) -> None:
    run = written_with([], tmp_path, "Hi 😀")

    assert "the character '😀' (U+1F600)" in run.stderr.decode()


def test_a_private_character_is_an_error_in_bold_and_in_several_lines_too() -> None:
    with pytest.raises(ImageError, match=r"has the character '.' \(U\+E123\)"):
        processed(plain(0), "watermark", {"mark": {"text": f"One\ntwo{chr(NOWHERE)}", "bold": True}})


@pytest.mark.parametrize(
    "text",
    [
        "AZaz09 ~!@#$%^&*()",
        "Привет, ёж",
        "Ελληνικά",
        "naïve façade – „Größe“ €100 ½ ©®™",
        "e\u0301 a\u0308",
        "a\u00adb\u200bc",
        "A\u00a0B\u2003C",
        "\u200eleft\u200f",
    ],
)
def test_a_character_that_a_font_has_is_not_an_error(text: str) -> None:
    assert len(processed(plain(0), "watermark", {"mark": {"text": text}})) > 0


def luminance(values: numpy.ndarray) -> numpy.ndarray:
    """Return the WCAG 2 relative luminance of gray values from 0 to 255."""
    shares = values / 255
    linear: numpy.ndarray = numpy.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return linear


def contrast_at_edges(image: bytes, letters: numpy.ndarray) -> float:
    """Return the contrast (WCAG 2) between the means of the letters and of their surroundings."""
    gray = numpy.asarray(opened(image).convert("L")).astype(float)
    shape = Image.fromarray(letters.astype("uint8") * 255)
    inside = numpy.asarray(shape.filter(ImageFilter.MinFilter(3))) > 0
    around = (numpy.asarray(shape.filter(ImageFilter.MaxFilter(7))) > 0) & (
        numpy.asarray(shape.filter(ImageFilter.MaxFilter(3))) == 0
    )
    inner, outer = luminance(gray[inside].mean()), luminance(gray[around].mean())
    return float((max(inner, outer) + 0.05) / (min(inner, outer) + 0.05))


def letters_of(mark: dict[str, object], other: dict[str, object], size: tuple[int, int] = (600, 200)) -> numpy.ndarray:
    """Return the positions of the letters: red, with the same outline, on a background without red."""
    red = {**mark, "color": "#ff0000", "outline": "#00ff00"}
    drawn = pixels(processed(plain(0, size), "watermark", {**other, "mark": red, "opacity": 100}))
    return (drawn[..., 0] > 127) & (drawn[..., 1] < 128)


@pytest.mark.parametrize("color", ["white", "black", "#808080", "#ffff00", "#800000"])
@pytest.mark.parametrize("ground", [255, 0, 128, 230, 60])
def test_a_text_is_readable_on_any_background_by_default(ground: int, color: str) -> None:
    mark: dict[str, object] = {"text": "© Pixmill", **({} if color == "white" else {"color": color})}
    letters = letters_of(mark, {"scale": 60})

    result = processed(plain(ground), "watermark", {"mark": mark, "scale": 60})

    assert letters.sum() > 1000
    least = 3 if color in ("white", "black") else 1.5
    assert contrast_at_edges(result, letters) > least, "half of a gray text is the ground"


def test_white_on_white_without_an_outline_is_invisible() -> None:
    params = {"mark": {"text": "© Pixmill", "outline": "none"}, "opacity": 100}

    assert (pixels(processed(plain(255), "watermark", params)) == 255).all()


def test_an_outline_has_the_requested_color() -> None:
    params = {"mark": {"text": "H", "outline": "Lime"}, "opacity": 100, "scale": 30}

    result = pixels(processed(plain(255), "watermark", params))

    assert (numpy.abs(result - (0, 255, 0)).max(axis=2) < 8).sum() > 200
    assert (result.sum(axis=2) < 255).sum() == 0, "nothing is black"


@pytest.mark.parametrize("color", ["transparent", "#ffffff00", "rgb(0 0 0 / 0%)"])
def test_transparent_letters_show_the_image_within_their_outline(color: str) -> None:
    mark = {"text": "H", "color": color, "outline": "red"}
    solid = {"text": "H", "color": "blue", "outline": "red"}
    params: dict[str, object] = {"opacity": 100, "scale": 30}
    drawn = pixels(processed(plain(255), "watermark", {**params, "mark": solid}))
    letters = (drawn == (0, 0, 255)).all(axis=2)

    result = pixels(processed(plain(255), "watermark", {**params, "mark": mark}))

    assert letters.sum() > 1000
    assert (result[letters] == 255).all()
    assert (numpy.abs(result - (255, 0, 0)).max(axis=2) < 8).sum() > 200


def test_an_outline_that_is_not_a_color_is_refused() -> None:
    with pytest.raises(DomainError, match="'thick' is not a color"):
        plan_of("watermark", {"mark": {"text": "H", "outline": "thick"}})


def test_a_mark_with_one_mistake_gives_one_error() -> None:
    with pytest.raises(DomainError) as refused:
        plan_of("watermark", {"mark": {"text": "H", "color": "whiteish"}})

    assert [wrong["pointer"] for wrong in refused.value.errors] == ["/params/mark/color"]


@pytest.mark.parametrize("mark", [{}, {"color": "red"}, "text", None])
def test_a_mark_without_text_and_file_gives_the_choices(mark: object) -> None:
    with pytest.raises(DomainError, match="a mark has either `text` or `file_id`"):
        plan_of("watermark", {"mark": mark})


@pytest.mark.parametrize("ground", [255, 0, 128])
def test_a_small_mark_is_readable_too(ground: int) -> None:
    source = plain(ground, (400, 300))
    letters = letters_of({"text": "© Pixmill"}, {}, (400, 300))

    result = processed(source, "watermark", {"mark": {"text": "© Pixmill"}})

    gray = numpy.asarray(opened(result).convert("L")).astype(int)
    place = gray[letters.any(axis=1)][:, letters.any(axis=0)]
    assert place.max() - place.min() > 90, "of 128 that half of the opacity allows"
