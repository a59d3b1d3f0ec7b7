"""Changes images in linear light, where a mix of two colors matches what eyes see from a distance."""

import pyvips

from image_processor.imaging.alpha import Change, rounded
from image_processor.imaging.color import alpha_band, color_bands, maximum


def in_linear_light(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Apply ``change`` to a gray or sRGB image in linear light (IEC 61966-2-1), weighted by its alpha."""
    light = color_bands(image).colourspace("scrgb")
    alpha = alpha_band(image)
    if alpha is None:
        return _encoded(change(light), image)
    weight = alpha / maximum(image)
    weights = change(weight)
    mixed = (weights > 0).ifthenelse(change(light * weight) / weights, 0).copy(interpretation="scrgb")
    colors = _encoded(mixed, image)
    return colors.bandjoin(rounded(weights * maximum(image), image.format)).copy(interpretation=image.interpretation)


def _encoded(light: pyvips.Image, like: pyvips.Image) -> pyvips.Image:
    return light.colourspace(like.interpretation).cast(like.format)
