"""Converts samples of other kinds, as in TIFF, to 8 or 16 bits."""

from collections.abc import Callable, Sequence

import pyvips
from service_kit.texts import sentence

from image_processor.imaging.errors import UnsuitableImageError

_RAW = "raw-samples"
"""A metadata field: the samples are raw, and may be of any kind."""
_GREATEST = "greatest-raw-sample"
"""A metadata field: the greatest sample of the file, if the image's samples are mixtures of several."""
_WHITE = 1 + 1e-6
"""The greatest valid floating-point sample, with a tolerance for rounding."""
_BLOCK = 8
"""Sides of the blocks that lossy compression works on, in pixels; its errors nearly cancel out in a block's mean."""
_WHITE_OF_A_BLOCK = 1.05
"""The greatest valid mean of a block: the worst quality of JPEG XL exceeds 1 by 0.03."""
_DEEP = {"b-w": "grey16", "srgb": "rgb16", "scrgb": "rgb16", "multiband": "rgb16"}


def marked_raw(image: pyvips.Image) -> pyvips.Image:
    """Return the image, marked if its samples do not have 8 or 16 bits."""
    if image.format in ("uchar", "ushort") or image.interpretation in ("lab", "labs", "labq", "xyz", "lch"):
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, _RAW, 1)
    return image


def mixed(image: pyvips.Image, mix: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """Return ``mix(image)``, where ``mix`` mixes neighboring samples, such as a resampling kernel.

    Raw floating-point samples have no fixed range to clip a kernel's ringing to, so clip it to the range of the image.
    NaN becomes black before it spreads to neighboring samples.
    """
    if not image.get_typeof(_RAW) or image.format not in ("float", "double"):
        return mix(image)
    image = (image == image).ifthenelse(image, 0)
    least, greatest = float(image.min()), _greatest(image)
    made = mix(image).clamp(min=least, max=greatest)
    made.set_type(pyvips.GValue.gdouble_type, _GREATEST, greatest)
    return made


def without_overshoots(image: pyvips.Image) -> pyvips.Image:
    """Return floating-point samples of a lossy file, clipped to 0 … 1 if they exceed it only by compression errors."""
    means = image.shrink(min(_BLOCK, image.width), min(_BLOCK, image.height))
    return image.clamp() if _greatest(means) <= _WHITE_OF_A_BLOCK else image


def usual(image: pyvips.Image) -> pyvips.Image:
    """Convert unsigned 32-bit samples, or floating-point samples from 0 to 1, to 16 bits.

    :raises UnsuitableImageError: the range of the samples is unknown: they are signed, or greater than 1.
    """
    if not image.get_typeof(_RAW):
        return image
    scaled = _scaled(image).rint().cast("ushort")
    gray = scaled.bands < 3 and image.interpretation != "cmyk"
    scaled = scaled.copy(interpretation="grey16" if gray else _DEEP.get(image.interpretation, image.interpretation))
    for field in (_RAW, _GREATEST):
        if scaled.get_typeof(field):
            scaled.remove(field)
    return scaled


def from_ycbcr(image: pyvips.Image, coefficients: Sequence[float], limits: Sequence[float]) -> pyvips.Image:
    """Convert luma and chroma of 8 or 16 bits, perhaps with alpha, to red, green and blue.

    :param coefficients: weights of red, green and blue in luma.
    :param limits: for 8 bits, luma of black and white, then zero and full chroma for Cb and Cr.
    """
    red, green, blue = coefficients
    scale = 257 if image.format == "ushort" else 1
    ranges = zip(limits[::2], limits[1::2], (255, 127, 127), strict=True)
    factors = [(full / (end - start), start * scale) for start, end, full in ranges]
    parts = image[0:3].linear([factor for factor, _ in factors], [-factor * start for factor, start in factors])
    of_red, of_blue = 2 - 2 * red, 2 - 2 * blue
    matrix = [[1, 0, of_red], [1, -blue * of_blue / green, -red * of_red / green], [1, of_blue, 0]]
    colors = parts.recomb(pyvips.Image.new_from_array(matrix)).rint().cast(image.format)
    colors = colors if image.bands == 3 else colors.bandjoin(image[3:])
    return colors.copy(interpretation="rgb16" if image.format == "ushort" else "srgb")


def with_white_at_one(image: pyvips.Image) -> pyvips.Image:
    """Return floating-point gray, whose white is 0, perhaps with other bands, with white at 1."""
    gray = 1 - image[0]
    colored = gray if image.bands == 1 else gray.bandjoin(image[1:])
    return colored.cast(image.format).copy(interpretation=image.interpretation)


def _scaled(image: pyvips.Image) -> pyvips.Image:
    if image.format == "uint":
        return image / 65_537
    if image.format not in ("float", "double"):
        raise UnsuitableImageError(
            sentence(
                "The image has signed samples, for which black and white are not defined: save it with unsigned "
                "samples."
            )
        )
    greatest = float(image.get(_GREATEST)) if image.get_typeof(_GREATEST) else _greatest(image)
    if not greatest <= _WHITE:
        raise UnsuitableImageError(
            sentence(
                "The image has floating-point samples up to {greatest:g}, but 1 is white: scale them to 0 … 1 first, "
                "or save the image with 8 or 16 bits.",
                greatest=greatest,
            )
        )
    return image * 65_535


def _greatest(image: pyvips.Image) -> float:
    try:
        return float(image.max())
    except pyvips.Error as error:
        if "not set" in error.detail:  # all samples are NaN
            raise UnsuitableImageError(sentence("None of the image's samples is a number.")) from error
        raise
