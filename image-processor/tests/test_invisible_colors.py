"""No algorithm lets the colors of invisible pixels appear in a result."""

import io
import json
import zipfile
from functools import cache

import cv2
import numpy
import pytest
from image_processor.services.codec.decoding import ImageError
from PIL import Image

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened, photo, pixels
from tests.support.variants import VARIANTS, Variant, files_for, textured

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 64, 48
HIDDEN = [(255, 0, 255), (0, 255, 0), (0, 0, 0)]


def ellipse() -> numpy.ndarray:
    """Return an alpha channel with a soft edge."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    alpha: numpy.ndarray = numpy.clip((1 - numpy.hypot((x - 32) / 26, (y - 22) / 18)) * 6 * 255, 0, 255).astype("uint8")
    return alpha


@cache
def hiding(color: tuple[int, int, int]) -> bytes:
    colors = textured(WIDTH, HEIGHT)
    colors[ellipse() == 0] = color
    return encoded(Image.fromarray(numpy.dstack([colors, ellipse()])), "PNG")


def seen(result: bytes) -> numpy.ndarray:
    """Return the visible pixels of the result, or its analysis."""
    if result.startswith(b"{"):
        return numpy.array(list(json.dumps(json.loads(result)).encode()))
    if result.startswith(b"PK"):
        archive = zipfile.ZipFile(io.BytesIO(result))
        tiles = [name for name in sorted(archive.namelist()) if name.endswith((".jpg", ".png", ".webp"))]
        return numpy.concatenate([seen(archive.read(name)).ravel() for name in tiles])
    values = pixels(result)
    if opened(result).mode in ("RGBA", "LA"):
        values[..., :-1][values[..., -1] == 0] = 0
    return values


# An image without a face is refused.
@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.name != "crop_faces"], ids=str)
def test_hidden_colors_do_not_change_visible_pixels(variant: Variant) -> None:
    params = dict(variant.params)
    if variant.algorithm.changes_image:
        params["output"] = {"format": "tiff"} if params.get("space") == "cmyk" else {"lossless": True}
    files = files_for(variant.algorithm, photo(WIDTH, HEIGHT))

    first, *others = (seen(processed(hiding(color), variant.name, params, files)) for color in HIDDEN)

    assert all(numpy.array_equal(first, other) for other in others)


@pytest.mark.parametrize(
    "output",
    [
        {"format": "webp", "quality": 30},
        {"format": "webp", "lossless": True},
        {"format": "avif", "quality": 30},
        {"format": "avif", "subsampling": "4:2:0", "quality": 90},
        {"format": "auto", "min_ssim": 0.9},
        {"format": "webp", "max_bytes": 2000},
        {"format": "jpeg", "quality": 30},
        {"format": "gif"},
        {"format": "gif", "colors": 5},
        {"format": "png", "palette": True, "colors": 16},
        {"format": "png", "palette": True, "colors": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("bits", [8, 16])
def test_no_encoder_reveals_hidden_colors(output: dict[str, object], bits: int) -> None:
    sources = [hiding(color) if bits == 8 else deep(hiding(color)) for color in HIDDEN]

    first, *others = (seen(processed(source, "convert", output)) for source in sources)

    assert all(numpy.array_equal(first, other) for other in others)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_no_tile_reveals_hidden_colors(format: str) -> None:
    params = {"format": format, "tile_size": 64}

    first, *others = (seen(processed(hiding(color), "tile", params)) for color in HIDDEN)

    assert len(first) > WIDTH * HEIGHT
    assert all(numpy.array_equal(first, other) for other in others)


def deep(content: bytes) -> bytes:
    """Return the image with 16 bits per band."""
    values = numpy.asarray(opened(content)).astype("uint16") * 257
    return bytes(cv2.imencode(".png", values[..., [2, 1, 0, 3]])[1])


def test_lossy_colors_next_to_hidden_pixels_are_closer_to_the_source() -> None:
    source = hiding((255, 0, 255))
    visible = ellipse() == 255
    edge = visible & (cv2.erode(visible.astype("uint8"), numpy.ones((5, 5), "uint8")) == 0)
    inside = visible & ~edge

    for name in ("webp", "avif"):
        result = pixels(processed(source, "convert", {"format": name, "quality": 60}))

        apart = numpy.abs(result - pixels(source))[..., :3].mean(axis=2)
        assert apart[edge].mean() < 1.5 * apart[inside].mean() + 1, name


@pytest.mark.parametrize("name", ["convolve", "edges", "emboss", "sharpen", "denoise", "equalize", "white_balance"])
def test_filters_of_colors_keep_the_alpha(name: str) -> None:
    for variant in (variant for variant in VARIANTS if variant.name == name):
        result = pixels(processed(hiding((0, 0, 0)), name, variant.params))

        assert (result[..., -1] == ellipse()).all(), variant


@pytest.mark.parametrize("method", ["global", "clahe"])
def test_equalize_spreads_the_visible_tones_only(method: str) -> None:
    half = numpy.dstack([textured(WIDTH, HEIGHT), numpy.full((HEIGHT, WIDTH), 255)])
    whole = numpy.concatenate([half, half * 0], axis=1).astype("uint8")
    params = {"method": method, "window": 64}

    visible = pixels(processed(encoded(Image.fromarray(half.astype("uint8")), "PNG"), "equalize", params))
    result = pixels(processed(encoded(Image.fromarray(whole), "PNG"), "equalize", params))

    apart = numpy.abs(result[:, :WIDTH] - visible)
    assert apart.max() <= 1 if method == "global" else apart[:, : WIDTH // 2].mean() <= 16


def test_white_balance_makes_the_mean_of_visible_pixels_gray() -> None:
    result = pixels(processed(hiding((0, 255, 0)), "white_balance")).astype(float)

    means = numpy.average(result[..., :3], axis=(0, 1), weights=numpy.dstack([ellipse()] * 3))
    assert numpy.ptp(means) <= 2


def test_a_histogram_counts_visible_pixels() -> None:
    found = report(hiding((255, 0, 255)), "histogram")

    visible = textured(WIDTH, HEIGHT)[ellipse() > 0]
    red = found["red"]
    assert isinstance(red, dict)
    assert red["counts"] == numpy.bincount(visible[:, 0], minlength=256).tolist()


def test_an_image_without_a_visible_pixel_has_no_histogram() -> None:
    clear = encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "PNG")

    with pytest.raises(ImageError, match="No pixel of the image is visible"):
        report(clear, "histogram")


def test_cmyk_shows_white_under_transparent_pixels() -> None:
    params = {"space": "cmyk", "output": {"format": "tiff"}}

    result = pixels(processed(hiding((255, 0, 255)), "to_colorspace", params))

    assert result[0, 0].max() <= 2, "no ink"
