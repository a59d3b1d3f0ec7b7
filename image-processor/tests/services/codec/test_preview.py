"""A preview is the result of its steps, shrunk. Pillow shrinks the results that the previews are compared with."""

import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy
import pytest
from image_processor.algorithms.registry import Algorithm, all_algorithms
from image_processor.services.codec.plan import PIPELINE, plan_of
from image_processor.services.codec.preview import write_preview
from PIL import Image, ImageChops, ImageColor, ImageFilter, ImageOps

from tests.support.algorithm_runs import LIMITS, processed
from tests.support.images import encoded, opened, photo

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, SIDE = 480, 360, 96
CUBE = b"LUT_3D_SIZE 2\n" + b"\n".join(b"%d %d %d" % (1 - r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1))
LIKE = 2.0
"""The largest mean difference of the values, 0 to 255: the two resample with other roundings."""
LIKE_LOSSY = 5.0
PIXELS_OF_BLUR, PIXELS_OF_BORDER = 6, 30
NOT_SHOWN = {
    "crop_faces": "it refuses a picture without a face",
    "tile": "it makes a ZIP, and a preview cannot show that",
}
"""Algorithms that no preview shows, with the reason."""

SCALE_FREE = [algorithm for algorithm in all_algorithms().values() if algorithm.scale_free]
EXTREMES: Mapping[str, Sequence[Mapping[str, object]]] = {
    "auto_orient": [{}],
    "colorize": [{"color": "#ff00ff", "amount": 100}, {"color": "#ff00ff", "red": 100, "green": 0, "blue": 50}],
    "duotone": [{"shadows": "#ffffff", "highlights": "#000000"}],
    "flip": [{"direction": "horizontal"}, {"direction": "vertical"}],
    "flatten": [{"background": "#ff00ff"}, {"background": "#ff00ff40"}],
    "gradient": [{"color": "#ffffff", "start": 50, "stop": 50}],
    "grayscale": [{}],
    "invert": [{}],
    "monochrome": [{"color": "#ffffff", "amount": 100}],
    "vignette": [{"amount": 100, "radius": 0, "color": "#ffffff"}, {"amount": 100, "radius": 100}],
}
"""Params at their limits, of each of these algorithms."""
LINES = [("#000000", "#ffffff"), ("#ff0000", "#00ff00"), ("#ff0000ff", "#00ff0000")]

Steps = Sequence[Mapping[str, object]]
Wanted = Callable[[Image.Image], Image.Image]


@cache
def detailed(mode: str = "RGB") -> Image.Image:
    """Return a picture with edges, fine detail, and no symmetry."""
    smooth = opened(photo(WIDTH, HEIGHT))
    noise = numpy.random.default_rng(7).integers(-25, 26, (HEIGHT, WIDTH, 3))
    made = Image.fromarray(numpy.clip(numpy.asarray(smooth).astype(int) + noise, 0, 255).astype("uint8"))
    made.paste((250, 240, 20), (40, 60, 150, 200))
    if mode == "RGBA":
        made.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    return made.convert(mode)


def lined(color: str, other: str) -> Image.Image:
    """Return a picture with lines of one pixel in two colors by turns."""
    pair = [ImageColor.getrgb(name) for name in (color, other)]
    mode = "RGBA" if len(pair[0]) == 4 else "RGB"
    return Image.fromarray(numpy.tile(numpy.array(pair, "uint8")[None], (2 * SIDE, SIDE, 1)), mode)


def step(algorithm: str, **params: object) -> dict[str, object]:
    return {"algorithm": algorithm, "params": params}


def preview_of(
    image: Image.Image,
    steps: Steps,
    files: Mapping[int, bytes] | None = None,
    output: Mapping[str, object] | None = None,
) -> tuple[bytes, tuple[int, int] | None]:
    """Return the preview, as PNG by default, and its size before it was shrunk."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "source"), Path(folder, "result")
        image.save(source, "TIFF" if image.mode == "CMYK" else "PNG")
        named = {number: Path(folder, f"file-{number}") for number in files or {}}
        for number, path in named.items():
            path.write_bytes((files or {})[number])
        plan = plan_of(PIPELINE, {"steps": steps, "output": output or {"format": "png"}})
        made = write_preview(source, named, result, plan, SIDE, LIMITS)
        return result.read_bytes(), made.full_size


def shrunk(image: Image.Image) -> Image.Image:
    """Return the image as Pillow shrinks it to the side of a preview; colors are weighted by their alpha."""
    scale = min(1.0, SIDE / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGBA").convert("RGBa").resize(size, Image.Resampling.LANCZOS)


def assert_alike(preview: bytes, full: Image.Image, limit: float = LIKE) -> None:
    made, wanted = opened(preview).convert("RGBA").convert("RGBa"), shrunk(full)
    assert made.size == wanted.size
    difference = numpy.abs(numpy.asarray(made).astype(int) - numpy.asarray(wanted))
    assert difference.mean() <= limit


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([step("crop", unit="px", left=240, width=60, height=60)], lambda image: image.crop((240, 150, 300, 210))),
        (
            [step("crop", unit="px", left=100, top=0, width=300, height=200)],
            lambda image: image.crop((100, 0, 400, 200)),
        ),
        ([step("blur", radius=PIXELS_OF_BLUR)], lambda image: image.filter(ImageFilter.GaussianBlur(PIXELS_OF_BLUR))),
        (
            [step("border", width=PIXELS_OF_BORDER, color="#ff0000")],
            lambda image: ImageOps.expand(image, PIXELS_OF_BORDER, "#ff0000"),
        ),
        ([step("flip")], ImageOps.mirror),
        ([step("invert")], ImageChops.invert),
        ([step("grayscale")], lambda image: image.convert("L")),
        ([step("resize", width=300, height=100)], lambda image: image.resize((300, 100), Image.Resampling.LANCZOS)),
        ([step("rotate", angle=90)], lambda image: image.transpose(Image.Transpose.ROTATE_270)),
        (
            [step("invert"), step("crop", unit="px", left=100, top=0, width=300, height=200), step("flip")],
            lambda image: ImageOps.mirror(ImageChops.invert(image).crop((100, 0, 400, 200))),
        ),
        ([step("overlay", file_id=2, gravity="northwest", x=30, y=20)], lambda image: pasted(image, (30, 20))),
    ],
    ids=lambda value: "-".join(str(each["algorithm"]) for each in value) if isinstance(value, list) else "",
)
def test_a_preview_is_the_result_shrunk(steps: Steps, wanted: Wanted) -> None:
    full = wanted(detailed())

    preview, size = preview_of(detailed(), steps, {2: encoded(mark(), "PNG")})

    assert size == full.size
    assert_alike(preview, full)


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("algorithm", all_algorithms().values(), ids=lambda algorithm: algorithm.name)
def test_every_algorithm_shows_what_its_task_makes(algorithm: Algorithm, mode: str) -> None:
    if algorithm.name in NOT_SHOWN:
        pytest.skip(NOT_SHOWN[algorithm.name])
    image = detailed(mode)
    files = files_for(algorithm, image)
    steps, output = [step(algorithm.name, **algorithm.example)], {} if algorithm.encodes else {"format": "png"}
    result = processed(encoded(image, "PNG"), PIPELINE, {"steps": steps, "output": output}, files)

    preview, size = preview_of(image, steps, files, output)

    if algorithm.result == "json":
        assert (json.loads(preview), size) == (json.loads(result), None)
    else:
        full = Image.open(io.BytesIO(result))
        assert size == full.size
        assert_alike(preview, full, LIKE_LOSSY if algorithm.encodes else LIKE)


@pytest.mark.parametrize("algorithm", SCALE_FREE, ids=lambda algorithm: algorithm.name)
def test_a_scale_free_algorithm_is_so_with_extreme_params_and_lines_of_a_pixel(algorithm: Algorithm) -> None:
    for params in EXTREMES[algorithm.name]:
        for colors in LINES:
            image = lined(*colors)
            extreme = step(algorithm.name, **params)
            result = processed(encoded(image, "PNG"), PIPELINE, {"steps": [extreme], "output": {"format": "png"}})

            preview, _ = preview_of(image, [extreme])

            assert_alike(preview, opened(result))


def test_a_preview_is_shrunk_after_its_colors_are_converted() -> None:
    pixels = numpy.tile(numpy.array([(255, 0, 0, 0), (0, 255, 255, 0)], "uint8")[None], (2 * SIDE, SIDE, 1))
    image = Image.fromarray(pixels, "CMYK")
    steps = [step("invert")]
    result = processed(encoded(image, "TIFF"), PIPELINE, {"steps": steps, "output": {"format": "png"}})

    preview, _ = preview_of(image, steps)

    assert_alike(preview, opened(result))


@pytest.mark.parametrize(
    ("clipping", "colors", "average"),
    [
        (step("brightness", amount=50), ("#000000", "#ffffff"), (191, 191, 191)),
        (step("channels", red=50), ("#000000", "#ff0000"), (191, 0, 0)),
        (step("contrast", amount=100), ("#000000", "#808080"), (65, 65, 65)),
        (step("sepia"), ("#000000", "#ffffff"), (128, 128, 120)),
    ],
    ids=lambda value: str(value["algorithm"]) if isinstance(value, dict) else "",
)
def test_a_preview_averages_what_a_clipping_step_makes(
    clipping: dict[str, object], colors: tuple[str, str], average: tuple[int, int, int]
) -> None:
    preview, _ = preview_of(lined(*colors), [clipping])

    assert opened(preview).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) == pytest.approx(average, abs=2)


def test_a_result_that_is_small_enough_is_not_resampled() -> None:
    steps = [step("crop", unit="px", left=50, top=70, width=SIDE, height=20)]

    preview, size = preview_of(detailed(), steps)

    assert size == (SIDE, 20)
    assert opened(preview).tobytes() == detailed().crop((50, 70, 50 + SIDE, 90)).tobytes()


def test_an_analysis_describes_the_whole_picture() -> None:
    preview, size = preview_of(detailed(), [step("invert"), step("info")])

    assert (json.loads(preview)["width"], json.loads(preview)["height"], size) == (WIDTH, HEIGHT, None)


def mark() -> Image.Image:
    return opened(photo(200, 120))


def pasted(image: Image.Image, place: tuple[int, int]) -> Image.Image:
    made = image.copy()
    made.paste(mark(), place)
    return made


def files_for(algorithm: Algorithm, image: Image.Image) -> dict[int, bytes]:
    """Return the files for the ids 2 and 3 in the examples."""
    if algorithm.name == "lut":
        return {2: CUBE}
    if algorithm.name == "compare":
        return {2: encoded(ImageOps.flip(image), "PNG")}
    return {2: photo(33, 21, mode="RGBA"), 3: photo(20, 40)}
