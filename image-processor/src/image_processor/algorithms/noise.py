"""``noise``: ``{"amount": 20}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colours
from image_processor.imaging.colour import maximum


class NoiseParams(Params):
    amount: float = Field(10.0, ge=0, le=100, description="Standard deviation, in per cent of white.", examples=[15])
    seed: int = Field(0, ge=0, le=2**31 - 1, description="The same seed gives the same noise.")
    monochrome: bool = Field(default=False, description="Grey noise, as film has, instead of coloured.")


@algorithm(sequential=True)
def noise(image: pyvips.Image, params: NoiseParams) -> pyvips.Image:
    """Add Gaussian noise."""

    def noisy(colours: pyvips.Image) -> pyvips.Image:
        sigma = params.amount / 100 * maximum(colours)
        layers = [
            pyvips.Image.gaussnoise(colours.width, colours.height, mean=0, sigma=sigma, seed=params.seed + band)
            for band in range(1 if params.monochrome else colours.bands)
        ]
        return colours + (layers[0] if len(layers) == 1 else layers[0].bandjoin(layers[1:]))

    return on_colours(image, noisy)
