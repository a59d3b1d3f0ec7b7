"""Lightness and hue apart, in CIELAB (CIE 15:2004)."""

import pyvips

from image_processor.imaging.alpha import Change, on_colours
from image_processor.imaging.colour import in_colour, is_grey, rgba


def on_lightness(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Change the lightness, given in 16 bits, and leave hue and chroma; of a gray image, its values as they are."""

    def changed(colours: pyvips.Image) -> pyvips.Image:
        if is_grey(colours):
            return change(colours).copy(interpretation=colours.interpretation)
        lab = colours.colourspace("lab")
        lightness = change((lab[0] * 655.35).rint().cast("ushort")) / 655.35
        return _encoded(lightness.bandjoin(lab[1:3]), colours)

    return on_colours(image, changed)


def tinted(image: pyvips.Image, colour: str, amount: float) -> pyvips.Image:
    """The image with hue and chroma moved to those of ``colour`` by the share ``amount``."""
    red, green, blue, _ = rgba(colour)
    pixel = pyvips.Image.black(1, 1).linear(1, [red, green, blue]).cast("uchar").copy(interpretation="srgb")
    _, a, b = pixel.colourspace("lab")(0, 0)

    def changed(colours: pyvips.Image) -> pyvips.Image:
        lab = colours.colourspace("lab")
        return _encoded(
            lab[0].bandjoin([lab[1] * (1 - amount) + a * amount, lab[2] * (1 - amount) + b * amount]), colours
        )

    return on_colours(in_colour(image), changed)


def _encoded(lab: pyvips.Image, like: pyvips.Image) -> pyvips.Image:
    return lab.copy(interpretation="lab").colourspace(like.interpretation)
