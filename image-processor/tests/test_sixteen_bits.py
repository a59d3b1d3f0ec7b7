"""Every algorithm keeps the depth of an image with 16 bits per band."""

import io
from collections.abc import Mapping

import numpy
import pytest
import pyvips
import tifffile

from tests.support.algorithm_runs import processed
from tests.support.images import photo
from tests.support.variants import VARIANTS, Variant, files_for, textured

pytestmark = pytest.mark.slow

EIGHT_BITS_SAID = {"animate", "montage", "to_colorspace cmyk"}
"""Algorithms whose descriptions announce 8 bits."""
FEW_TONES = {"blur_faces", "edges canny", "equalize clahe", "extend background", "noise", "posterize", "threshold"}
"""Algorithms whose results have few or different tones by their nature."""
LESS_ALIKE: Mapping[str, float] = {
    # Tolerances in levels of 255: OpenCV compares patches in other units.
    "denoise non_local_means": 2,
    # Kernels amplify the rounding of colors near invisible pixels.
    "convolve": 5,
    "edges sobel": 5,
    "emboss": 5,
    "sharpen": 4,
    # Equal lightness in 8 bits may differ in 16.
    "equalize global": 4,
    # A luma is rounded before it is compared, in units of the image.
    "threshold": 255,
    "edges canny": 255,
    # Profiles have their own steps.
    "to_colorspace cmyk": 4,
    # Integer weights.
    "blur": 2.1,
    "extend blur": 2.1,
    # The amount of an unsharp mask amplifies its rounding.
    "upscale": 2,
}
CASES = [
    variant
    for variant in VARIANTS
    if variant.algorithm.result == "image" and not variant.algorithm.encodes and variant.name != "crop_faces"
]


def saved(values: numpy.ndarray) -> bytes:
    deep = values.dtype == numpy.uint16
    image = pyvips.Image.new_from_array(values).copy(interpretation="rgb16" if deep else "srgb")
    content: bytes = image.pngsave_buffer(bitdepth=16 if deep else 8)
    return content


def decoded(content: bytes) -> tuple[numpy.ndarray, str]:
    """Return the pixels with values from 0 to 255, colors weighted by their alpha, and the format of a band."""
    image = pyvips.Image.new_from_buffer(content, "")
    values = numpy.asarray(image.numpy(), dtype=float) / (257 if image.format == "ushort" else 1)
    if image.hasalpha():
        values[..., :-1] *= values[..., -1:] / 255
    return values, image.format


def named(variant: Variant, names: set[str]) -> bool:
    return bool({variant.name, str(variant)} & names)


def eight_bits(alpha: bool) -> numpy.ndarray:
    colors = textured(64, 48)
    y, x = numpy.mgrid[0:48, 0:64]
    ellipse = numpy.clip((1 - numpy.hypot((x - 32) / 26, (y - 22) / 18)) * 6 * 255, 0, 255).astype("uint8")
    return numpy.dstack([colors, ellipse]) if alpha else colors


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("variant", CASES, ids=str)
def test_sixteen_bits_give_the_same_result_as_eight(variant: Variant, alpha: bool) -> None:
    shallow = eight_bits(alpha)
    files = files_for(variant.algorithm, photo(64, 48))
    params = dict(variant.params)
    if variant.name == "animate":
        params["output"] = {"lossless": True}

    expected, _ = decoded(processed(saved(shallow), variant.name, params, files))
    result, _ = decoded(processed(saved(shallow.astype("uint16") * 257), variant.name, params, files))

    assert result.shape == expected.shape
    tolerance = LESS_ALIKE.get(str(variant), LESS_ALIKE.get(variant.name, 1.6))
    assert numpy.abs(result - expected).max() <= tolerance
    assert numpy.abs(result - expected).mean() <= 1


@pytest.mark.parametrize("variant", [variant for variant in CASES if not named(variant, EIGHT_BITS_SAID)], ids=str)
def test_sixteen_bits_stay_sixteen_bits(variant: Variant) -> None:
    y, x = numpy.mgrid[0:48, 0:64]
    fine = numpy.dstack([x * 900 + y * 13, y * 1200 + x * 7, (x + y) * 500 + 3]).astype("uint16")
    files = files_for(variant.algorithm, photo(64, 48))

    result, band = decoded(processed(saved(fine), variant.name, variant.params, files))

    assert band == "ushort"
    between = numpy.abs(result - numpy.rint(result))[..., :3] > 0.01
    assert between.mean() > 0.2 or named(variant, FEW_TONES), "values lie between those of 8 bits"


def tiff_of(values: numpy.ndarray, photometric: str) -> bytes:
    """Return a TIFF; the last of five inks, or of four other bands, is alpha."""
    file = io.BytesIO()
    has_alpha = values.shape[2] > (4 if photometric == "separated" else 3)
    extra = ["unassalpha"] if has_alpha else None
    tifffile.imwrite(file, values, photometric=photometric, planarconfig="contig", extrasamples=extra)
    return file.getvalue()


COLUMNS, ROWS = numpy.meshgrid(range(64), range(48))
ALPHA = 255 - COLUMNS * 2
OF_BYTES = {
    "inks": ("separated", numpy.dstack([COLUMNS * 2, ROWS * 2, COLUMNS + ROWS, ROWS]), 257),
    "inks with alpha": ("separated", numpy.dstack([COLUMNS * 2, ROWS * 2, COLUMNS + ROWS, ROWS, ALPHA]), 257),
    # White is 65280 in 16 bits (Adobe Photoshop TIFF Technical Notes; ICC.1:2010, 6.3.4.2).
    "CIELAB": ("cielab", numpy.dstack([90 + COLUMNS, ROWS // 2, COLUMNS // 3]), 256),
    "CIELAB of ICC": ("icclab", numpy.dstack([90 + COLUMNS, 128 + ROWS // 2, 128 + COLUMNS // 3]), 256),
    "CIELAB of ICC with alpha": (
        "icclab",
        numpy.dstack([90 + COLUMNS, 128 + ROWS // 2, 128 + COLUMNS // 3, ALPHA]),
        numpy.array([256, 256, 256, 257]),
    ),
}
"""Kinds of TIFF: the meaning of the samples, samples of 8 bits, and the factors that make 16 bits of them."""


@pytest.mark.parametrize("algorithm", ["convert", "brightness"])
@pytest.mark.parametrize("kind", OF_BYTES)
def test_inks_and_cielab_keep_their_depth(kind: str, algorithm: str) -> None:
    photometric, samples, factors = OF_BYTES[kind]
    output = {"format": "png"} if algorithm == "convert" else {"amount": 10, "output": {"format": "png"}}

    shallow, _ = decoded(processed(tiff_of(samples.astype("uint8"), photometric), algorithm, output))
    deep, form = decoded(processed(tiff_of((samples * factors).astype("uint16"), photometric), algorithm, output))

    assert form == "ushort"
    assert numpy.abs(deep - shallow).max() <= 2
    assert len(numpy.unique(deep)) > 1.5 * len(numpy.unique(shallow))
