"""One image laid on another."""

import pyvips

from image_processor.imaging.alpha import rounded
from image_processor.imaging.colour import in_colour, in_eight_bits, maximum, with_alpha


def laid(base: pyvips.Image, over: pyvips.Image, left: int, top: int, mode: str = "over") -> pyvips.Image:
    """``over``, grey or sRGB, on ``base`` at ``left``, ``top``; the result has the size and depth of ``base``.

    :param mode: a blend mode of libvips (those of W3C's Compositing and Blending 1, and Porter and Duff's).
    """
    base = in_colour(base)
    scale = 257 if maximum(base) > 255 else 1
    ground = with_alpha(base) / scale if scale > 1 else with_alpha(base)
    ground = ground.copy(interpretation="srgb")
    made = ground.composite2(with_alpha(in_eight_bits(in_colour(over))), mode, x=left, y=top, compositing_space="srgb")
    made = rounded(made * scale, base.format).copy(interpretation=base.interpretation)
    return made if base.hasalpha() else made[0:3].copy(interpretation=base.interpretation)
