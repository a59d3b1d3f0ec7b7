"""``white_balance``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import alpha_band, color_bands, is_gray
from image_processor.imaging.params import hint
from image_processor.imaging.tone import Curve, with_tones

MAX_GAIN = 8.0


class WhiteBalanceParams(Params):
    amount: float = Field(
        100.0,
        ge=0,
        le=100,
        description="In percent, 0 (unchanged) to 100 (the mean becomes gray).",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color")
def white_balance(image: pyvips.Image, params: WhiteBalanceParams) -> pyvips.Image:
    """Remove a color cast: the mean of all visible pixels becomes gray.

    (The gray-world assumption: G. Buchsbaum, "A spatial processor model for object color perception", 1980.)
    """
    if is_gray(image):
        return image
    means = _means(image)
    gray = sum(means) / 3
    gains = [1 + (min(gray / mean, MAX_GAIN) - 1) * params.amount / 100 for mean in means]
    return with_tones(image, [_gain(gain) for gain in gains])


def _means(image: pyvips.Image) -> list[float]:
    """Return the mean of each band, the pixels weighted by their alpha."""
    alpha = alpha_band(image)
    weight = 1.0 if alpha is None else max(alpha.avg(), 1e-6)
    weighted = color_bands(image) if alpha is None else color_bands(image) * alpha
    return [max(weighted[band].avg() / weight, 1e-6) for band in range(3)]


def _gain(gain: float) -> Curve:
    return lambda value: value * gain
