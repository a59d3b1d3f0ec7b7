"""Colours as parameters, and images in a colour space that an algorithm can reckon with."""

from collections.abc import Sequence
from typing import Annotated

import pyvips
from pydantic import AfterValidator, Field

from image_processor.imaging.css_colors import PATTERN, canonical
from image_processor.imaging.errors import UnsuitableImageError
from image_processor.imaging.profiles import means_srgb
from image_processor.imaging.samples import usual

Colour = Annotated[str, AfterValidator(canonical), Field(json_schema_extra={"pattern": PATTERN})]
"""A CSS color in sRGB, whatever its form; it is ``#rrggbb`` or ``#rrggbbaa`` when it has been read."""

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Shares of the luma (ITU-R BT.601, 2.5.1)."""

DEEP = ("ushort", "rgb16", "grey16")


def rgba(colour: str) -> tuple[float, float, float, float]:
    """Red, green, blue and alpha, 0 to 255 each; alpha is 255 where the colour has none."""
    digits = colour.removeprefix("#")
    if len(digits) <= 4:
        digits = "".join(digit * 2 for digit in digits)
    values = [float(int(digits[place : place + 2], 16)) for place in range(0, len(digits), 2)]
    red, green, blue, alpha = [*values, 255.0][:4]
    return red, green, blue, alpha


def luma(red: float, green: float, blue: float) -> float:
    """Grey of the same brightness."""
    return RED * red + GREEN * green + BLUE * blue


def maximum(image: pyvips.Image) -> int:
    """White of the image's bands: 255, or 65535 with 16 bits."""
    return 65535 if image.format == "ushort" else 255


def in_eight_bits(image: pyvips.Image) -> pyvips.Image:
    """The grey or sRGB image with 8 bits a band."""
    if image.format != "ushort":
        return image
    return (image / 257).rint().cast("uchar").copy(interpretation="b-w" if is_grey(image) else "srgb")


def is_grey(image: pyvips.Image) -> bool:
    return int(image.bands) < 3


def colour_bands(image: pyvips.Image) -> pyvips.Image:
    """The image without its alpha."""
    return image[0 : image.bands - 1] if image.hasalpha() else image


def alpha_band(image: pyvips.Image) -> pyvips.Image | None:
    return image[image.bands - 1] if image.hasalpha() else None


def with_alpha(image: pyvips.Image) -> pyvips.Image:
    """The image, opaque where it had no alpha."""
    return image if image.hasalpha() else image.bandjoin(maximum(image)).copy(interpretation=image.interpretation)


def in_colour(image: pyvips.Image) -> pyvips.Image:
    """The image with three colour bands, where it was grey."""
    if not is_grey(image):
        return image
    return image.colourspace("rgb16" if image.format == "ushort" else "srgb")


def in_sixteen_bits(image: pyvips.Image) -> pyvips.Image:
    """Return the gray or sRGB image with 16 bits a band."""
    if image.format == "ushort":
        return image
    return (image * 257).cast("ushort").copy(interpretation="grey16" if is_grey(image) else "rgb16")


def alike(images: Sequence[pyvips.Image]) -> Sequence[pyvips.Image]:
    """Return gray or sRGB images with the bands and the depth that all of them need: colors, alpha, 16 bits."""
    if not all(map(is_grey, images)):
        images = [in_colour(image) for image in images]
    if any(image.hasalpha() for image in images):
        images = [with_alpha(image) for image in images]
    if any(image.format == "ushort" for image in images):
        images = [in_sixteen_bits(image) for image in images]
    return images


def ink(image: pyvips.Image, colour: str) -> list[float]:
    """The colour as values of the image's bands, by its own profile; with alpha where the image has it."""
    red, green, blue, alpha = rgba(colour)
    values = _by_profile(image, colour)
    if values is None:
        values = [luma(red, green, blue)] if is_grey(image) else [red, green, blue]
    scale = maximum(image) / 255
    return [value * scale for value in [*values, alpha][: image.bands]]


def _by_profile(image: pyvips.Image, colour: str) -> list[float] | None:
    """Return the color in the values of the image's profile, 0 to 255; None where it has none but sRGB's.

    CMYK without one goes through a general profile, and white is paper.
    """
    values = rgba(colour)[:3]
    is_cmyk = image.interpretation == "cmyk"
    if is_cmyk and min(values) == 255:
        return [0, 0, 0, 0]
    pixel = pyvips.Image.black(1, 1, bands=3).linear([1] * 3, list(values)).cast("uchar").copy(interpretation="srgb")
    if image.get_typeof("icc-profile-data") and not is_srgb(image):
        seen = pixel.icc_import(input_profile="srgb").copy()
        seen.set_type(pyvips.GValue.blob_type, "icc-profile-data", image.get("icc-profile-data"))
        try:
            made = list(seen.icc_export(depth=8)(0, 0))
            if len(made) == (4 if is_cmyk else colour_bands(image).bands):
                return made
        except pyvips.Error:  # the profile is one of another color space, or damaged
            pass
    return list(pixel.icc_transform("cmyk", input_profile="srgb", depth=8)(0, 0)) if is_cmyk else None


def in_srgb(image: pyvips.Image) -> pyvips.Image:
    """The image as grey or sRGB, 8 or 16 bits a band, perhaps with alpha.

    Colours go through the embedded ICC profile (ICC.1:2010), CMYK without one through a general profile. An image that
    is sRGB already is left as it is.
    """
    image = usual(image)
    if image.format in ("uchar", "ushort") and image.interpretation in ("srgb", "rgb16", "b-w", "grey16", "multiband"):
        if image.bands > 4:
            raise UnsuitableImageError(f"The image has {image.bands} bands, and does not say which are its colours.")
        return _through_profile(_named(image))
    if image.interpretation == "cmyk":
        return image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=8)
    if image.interpretation in ("lab", "labs"):
        return image.icc_export(output_profile="srgb", depth=16 if image.interpretation == "labs" else 8)
    deep = image.interpretation in DEEP or image.format in DEEP
    return image.colourspace("rgb16" if deep else "srgb")


def _named(image: pyvips.Image) -> pyvips.Image:
    deep = image.format == "ushort"
    kind = ("grey16" if deep else "b-w") if is_grey(image) else ("rgb16" if deep else "srgb")
    return image if image.interpretation == kind else image.copy(interpretation=kind)


def _through_profile(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof("icc-profile-data") or is_srgb(image):
        return image
    try:
        return image.icc_transform("srgb", embedded=True, depth=16 if image.format == "ushort" else 8)
    except pyvips.Error:
        return image  # a profile of another colour space than the image's: browsers ignore it too


def is_srgb(image: pyvips.Image) -> bool:
    """Whether the image's profile gives the colours that sRGB would give."""
    return means_srgb(bytes(image.get("icc-profile-data")))
