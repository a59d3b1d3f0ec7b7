"""Places images on larger canvases."""

import pyvips

from image_processor.imaging.alpha import rounded
from image_processor.imaging.color import in_color, in_srgb, ink, is_gray, maximum, rgba, with_alpha
from image_processor.imaging.gravity import corner


def embedded(image: pyvips.Image, left: int, top: int, width: int, height: int, color: str) -> pyvips.Image:
    """Return the image at ``left``, ``top`` of a canvas of ``width`` × ``height`` pixels of the color."""
    image = inkable(image, color)
    return image.embed(left, top, width, height, extend="background", background=ink(image, color))


def inkable(image: pyvips.Image, color: str) -> pyvips.Image:
    """Return the image with the bands that the color needs: three for a hue, alpha for transparency."""
    if is_gray(image) and _has_hue(color):
        image = in_color(image)
    return with_alpha(image) if rgba(color)[3] < 255 else image


def _has_hue(color: str) -> bool:
    return len(set(rgba(color)[:3])) > 1


def weighted_ink(image: pyvips.Image, color: str) -> list[float]:
    """Return the :func:`ink` for an image whose colors are weighted by their alpha."""
    values = ink(image, color)
    if not image.hasalpha():
        return values
    share = rgba(color)[3] / 255
    return [value * share for value in values[:-1]] + values[-1:]


def flattened(image: pyvips.Image, color: str) -> pyvips.Image:
    """Return the image without alpha, on a background of that color."""
    if not image.hasalpha():
        return image
    if is_gray(image) and _has_hue(color):
        image = in_color(in_srgb(image))
    opaque = ink(image, color)[: image.bands - 1]
    return rounded(image.flatten(background=opaque, max_alpha=maximum(image)), image.format)


def placed(image: pyvips.Image, width: int, height: int, gravity: str, color: str) -> pyvips.Image:
    """Return the image on a canvas of ``width`` × ``height`` pixels, at a side, at a corner or in the middle."""
    if (image.width, image.height) == (width, height):
        return image
    left, top = corner(gravity, width - image.width, height - image.height)
    return embedded(image, left, top, width, height, color)
