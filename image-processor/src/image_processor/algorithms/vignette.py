"""``vignette``: ``{"amount": 60}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.canvas import inkable
from image_processor.imaging.color import Color, color_bands, ink
from image_processor.imaging.params import hint, or_british


class VignetteParams(Params):
    amount: float = Field(
        50.0,
        ge=0,
        le=100,
        description="The share of the color in the corners, in percent.",
        examples=[70],
        json_schema_extra=hint(unit="%"),
    )
    radius: float = Field(
        50.0,
        ge=0,
        le=100,
        description="How far from the middle the image stays unchanged, in percent of the distance to a corner.",
        json_schema_extra=hint(unit="%"),
    )
    color: Color = Field("#000000", validation_alias=or_british("color"), description="The color of the edges.")


@algorithm(category="detail", sequential=True, scale_free=True)
def vignette(image: pyvips.Image, params: VignetteParams) -> pyvips.Image:
    """Fade the image towards its corners."""
    image = inkable(image, params.color[:7])
    shade = _distance(image.width, image.height)
    inner = min(params.radius / 100, 0.999)
    share = (shade - inner) / (1 - inner)
    share = (share < 0).ifthenelse(0, share)
    # The smoothstep of computer graphics: it has no visible start.
    share = share * share * (share * -2 + 3) * (params.amount / 100)
    edge = ink(image, params.color)[: color_bands(image).bands]
    return on_colors(image, lambda colors: colors * (share * -1 + 1) + _plain(share, edge))


def _distance(width: int, height: int) -> pyvips.Image:
    """Return the distance of each pixel from the middle of the image; 1 in the corners."""
    xy = (pyvips.Image.xyz(width, height) - [(width - 1) / 2, (height - 1) / 2]) / [width / 2, height / 2]
    return ((xy[0] * xy[0] + xy[1] * xy[1]) / 2) ** 0.5


def _plain(share: pyvips.Image, color: list[float]) -> pyvips.Image:
    return share * color[0] if len(color) == 1 else share.bandjoin([share] * (len(color) - 1)) * color
