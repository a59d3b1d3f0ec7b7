"""Color parameters, and conversions of images to color spaces that algorithms can compute with."""

from collections.abc import Sequence
from typing import Annotated

import pyvips
from pydantic import AfterValidator, Field
from service_kit.texts import counted

from image_processor.imaging.css_colors import PATTERN, canonical
from image_processor.imaging.errors import UnsuitableImageError
from image_processor.imaging.params import hint
from image_processor.imaging.profiles import means_srgb
from image_processor.imaging.samples import usual

Color = Annotated[str, AfterValidator(canonical), Field(json_schema_extra={"pattern": PATTERN, **hint(widget="color")})]
"""A CSS color in sRGB, in any form; validation turns it into ``#rrggbb`` or ``#rrggbbaa``."""

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""The weights of the luma (ITU-R BT.601, 2.5.1)."""

FROM_SIXTEEN_BITS = "lab-from-sixteen-bits"
"""A metadata field of floating-point CIELAB: the file has 16 bits per sample."""
DEEP = ("ushort", "rgb16", "grey16")


def rgba(color: str) -> tuple[float, float, float, float]:
    """Return red, green, blue and alpha, 0 to 255 each; alpha is 255 if the color has none."""
    digits = color.removeprefix("#")
    if len(digits) <= 4:
        digits = "".join(digit * 2 for digit in digits)
    values = [float(int(digits[place : place + 2], 16)) for place in range(0, len(digits), 2)]
    red, green, blue, alpha = [*values, 255.0][:4]
    return red, green, blue, alpha


def pixel_of(color: str) -> pyvips.Image:
    """Return an image of one pixel, with alpha."""
    pixel = pyvips.Image.black(1, 1, bands=4).linear([1], list(rgba(color)))
    return pixel.cast("uchar").copy(interpretation="srgb")


def luma(red: float, green: float, blue: float) -> float:
    """Return the gray of the same brightness."""
    return RED * red + GREEN * green + BLUE * blue


def maximum(image: pyvips.Image) -> int:
    """Return the value of white in the image: 255, or 65535 with 16 bits."""
    return 65535 if image.format == "ushort" else 255


def in_eight_bits(image: pyvips.Image) -> pyvips.Image:
    """Return the gray or sRGB image with 8 bits per band."""
    if image.format != "ushort":
        return image
    return (image / 257).rint().cast("uchar").copy(interpretation="b-w" if is_gray(image) else "srgb")


def is_gray(image: pyvips.Image) -> bool:
    return int(image.bands) < 3


def color_bands(image: pyvips.Image) -> pyvips.Image:
    """Return the image without its alpha."""
    return image[0 : image.bands - 1] if image.hasalpha() else image


def alpha_band(image: pyvips.Image) -> pyvips.Image | None:
    return image[image.bands - 1] if image.hasalpha() else None


def with_alpha(image: pyvips.Image) -> pyvips.Image:
    """Return the image with alpha, opaque if it had none."""
    return image if image.hasalpha() else image.bandjoin(maximum(image)).copy(interpretation=image.interpretation)


def in_color(image: pyvips.Image) -> pyvips.Image:
    """Return the image with three color bands, converted if it was gray."""
    if not is_gray(image):
        return image
    return image.colourspace("rgb16" if image.format == "ushort" else "srgb")


def in_sixteen_bits(image: pyvips.Image) -> pyvips.Image:
    """Return the gray or sRGB image with 16 bits per band."""
    if image.format == "ushort":
        return image
    return (image * 257).cast("ushort").copy(interpretation="grey16" if is_gray(image) else "rgb16")


def alike(images: Sequence[pyvips.Image]) -> Sequence[pyvips.Image]:
    """Return gray or sRGB images with the bands and the depth that all of them need: colors, alpha, 16 bits."""
    if not all(map(is_gray, images)):
        images = [in_color(image) for image in images]
    if any(image.hasalpha() for image in images):
        images = [with_alpha(image) for image in images]
    if any(image.format == "ushort" for image in images):
        images = [in_sixteen_bits(image) for image in images]
    return images


def ink(image: pyvips.Image, color: str) -> list[float]:
    """Return the color as band values of the image, converted to its profile, with alpha if the image has alpha."""
    red, green, blue, alpha = rgba(color)
    values = _by_profile(image, color)
    if values is None:
        values = [luma(red, green, blue)] if is_gray(image) else [red, green, blue]
    scale = maximum(image) / 255
    return [value * scale for value in [*values, alpha][: image.bands]]


def _by_profile(image: pyvips.Image, color: str) -> list[float] | None:
    """Return the color in the profile of the image, 0 to 255; ``None`` if that is sRGB or missing.

    CMYK without a profile uses a general profile. White in CMYK is always paper without ink.
    """
    values = rgba(color)[:3]
    is_cmyk = image.interpretation == "cmyk"
    if is_cmyk and min(values) == 255:
        return [0, 0, 0, 0]
    pixel = pyvips.Image.black(1, 1, bands=3).linear([1] * 3, list(values)).cast("uchar").copy(interpretation="srgb")
    if image.get_typeof("icc-profile-data") and not is_srgb(image):
        seen = pixel.icc_import(input_profile="srgb").copy()
        seen.set_type(pyvips.GValue.blob_type, "icc-profile-data", image.get("icc-profile-data"))
        try:
            made = list(seen.icc_export(depth=8)(0, 0))
            if len(made) == (4 if is_cmyk else color_bands(image).bands):
                return made
        except pyvips.Error:  # the profile is for another color space, or damaged
            pass
    return list(pixel.icc_transform("cmyk", input_profile="srgb", depth=8)(0, 0)) if is_cmyk else None


def in_srgb(image: pyvips.Image) -> pyvips.Image:
    """Return the image in gray or sRGB, with 8 or 16 bits per band, perhaps with alpha.

    Colors are converted by the embedded ICC profile (ICC.1:2010), CMYK without one by a general profile. An image in
    sRGB is returned unchanged.
    """
    image = usual(image)
    if image.format in ("uchar", "ushort") and image.interpretation in ("srgb", "rgb16", "b-w", "grey16", "multiband"):
        if image.bands > 4:
            raise UnsuitableImageError(
                counted(
                    "The image has {bands} band, and it is unknown which of them are colors.",
                    "The image has {bands} bands, and it is unknown which of them are colors.",
                    "bands",
                    bands=image.bands,
                )
            )
        return _through_profile(_named(image))
    if image.interpretation == "cmyk":
        return _from_cmyk(image)
    if image.interpretation in ("lab", "labs"):
        is_deep = image.interpretation == "labs" or image.get_typeof(FROM_SIXTEEN_BITS)
        return image.icc_export(output_profile="srgb", depth=16 if is_deep else 8)
    deep = image.interpretation in DEEP or image.format in DEEP
    return image.colourspace("rgb16" if deep else "srgb")


def _from_cmyk(image: pyvips.Image) -> pyvips.Image:
    depth = 16 if image.format == "ushort" else 8
    inks = image if image.bands == 4 else image[0:4].copy(interpretation="cmyk")
    colors = inks.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
    # libvips takes 16-bit alpha next to inks for 8 bits.
    return colors if image.bands == 4 else colors.bandjoin(image[4]).copy(interpretation=colors.interpretation)


def _named(image: pyvips.Image) -> pyvips.Image:
    deep = image.format == "ushort"
    kind = ("grey16" if deep else "b-w") if is_gray(image) else ("rgb16" if deep else "srgb")
    return image if image.interpretation == kind else image.copy(interpretation=kind)


def _through_profile(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof("icc-profile-data") or is_srgb(image):
        return image
    try:
        return image.icc_transform("srgb", embedded=True, depth=16 if image.format == "ushort" else 8)
    except pyvips.Error:
        return image  # the profile is for another color space: browsers ignore it too


def is_srgb(image: pyvips.Image) -> bool:
    """Return whether the profile of the image gives the same colors as sRGB."""
    return means_srgb(bytes(image.get("icc-profile-data")))
