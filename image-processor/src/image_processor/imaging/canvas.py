"""An image on a larger ground."""

import pyvips

from image_processor.imaging.alpha import rounded
from image_processor.imaging.colour import in_colour, in_srgb, ink, is_grey, maximum, rgba, with_alpha
from image_processor.imaging.gravity import corner


def embedded(image: pyvips.Image, left: int, top: int, width: int, height: int, colour: str) -> pyvips.Image:
    """The image at ``left``, ``top`` of a ground of ``width`` × ``height`` pixels, transparent where the colour is."""
    image = inkable(image, colour)
    return image.embed(left, top, width, height, extend="background", background=ink(image, colour))


def inkable(image: pyvips.Image, colour: str) -> pyvips.Image:
    """The image with the bands that the colour needs: three for a hue, alpha for transparency."""
    if is_grey(image) and _has_hue(colour):
        image = in_colour(image)
    return with_alpha(image) if rgba(colour)[3] < 255 else image


def _has_hue(colour: str) -> bool:
    return len(set(rgba(colour)[:3])) > 1


def weighed_ink(image: pyvips.Image, colour: str) -> list[float]:
    """:func:`ink` for an image whose colours are weighed by their alpha."""
    values = ink(image, colour)
    if not image.hasalpha():
        return values
    share = rgba(colour)[3] / 255
    return [value * share for value in values[:-1]] + values[-1:]


def flattened(image: pyvips.Image, colour: str) -> pyvips.Image:
    """The image without alpha, on a ground of that colour."""
    if not image.hasalpha():
        return image
    if is_grey(image) and _has_hue(colour):
        image = in_colour(in_srgb(image))
    opaque = ink(image, colour)[: image.bands - 1]
    return rounded(image.flatten(background=opaque, max_alpha=maximum(image)), image.format)


def placed(image: pyvips.Image, width: int, height: int, gravity: str, colour: str) -> pyvips.Image:
    """The image on a ground of ``width`` × ``height`` pixels, at a side or corner, or in the middle."""
    if (image.width, image.height) == (width, height):
        return image
    left, top = corner(gravity, width - image.width, height - image.height)
    return embedded(image, left, top, width, height, colour)
