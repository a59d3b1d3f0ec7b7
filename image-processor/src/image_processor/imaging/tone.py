"""Changes tones by curves of one value, which are computed for each possible value and then looked up."""

from collections.abc import Callable, Sequence

import pyvips

from image_processor.imaging.alpha import on_colors
from image_processor.imaging.color import color_bands, maximum

Curve = Callable[[pyvips.Image], pyvips.Image]
"""Maps values to values, both from 0 (black) to 1 (white); results outside are clamped."""


def with_tone(image: pyvips.Image, curve: Curve) -> pyvips.Image:
    """Apply the curve to every color band; keep alpha."""
    return with_tones(image, [curve] * color_bands(image).bands)


def with_tones(image: pyvips.Image, curves: Sequence[Curve]) -> pyvips.Image:
    """Apply a curve to each color band; keep alpha."""
    white = maximum(image)
    ramp = pyvips.Image.identity(ushort=white > 255, size=white + 1).cast("float") / white
    table = curves[0](ramp)
    if len(set(curves)) > 1:
        table = table.bandjoin([curve(ramp) for curve in curves[1:]])
    table = (table * white).rint().cast(image.format)
    return on_colors(image, lambda colors: colors.maplut(table).copy(interpretation=colors.interpretation))
