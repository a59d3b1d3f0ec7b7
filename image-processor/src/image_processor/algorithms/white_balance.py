"""``white_balance``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.colour import colour_bands, is_grey
from image_processor.imaging.tone import Curve, with_tones

MAX_GAIN = 8.0


class WhiteBalanceParams(Params):
    amount: float = Field(100.0, ge=0, le=100, description="Per cent, 0 (unchanged) to 100 (the mean becomes grey).")


@algorithm
def white_balance(image: pyvips.Image, params: WhiteBalanceParams) -> pyvips.Image:
    """Take away a colour cast: the mean of all pixels becomes grey.

    (The grey-world assumption: G. Buchsbaum, "A spatial processor model for object colour perception", 1980.)
    """
    if is_grey(image):
        return image
    means = [max(colour_bands(image)[band].avg(), 1e-6) for band in range(3)]
    grey = sum(means) / 3
    gains = [1 + (min(grey / mean, MAX_GAIN) - 1) * params.amount / 100 for mean in means]
    return with_tones(image, [_gain(gain) for gain in gains])


def _gain(gain: float) -> Curve:
    return lambda value: value * gain
