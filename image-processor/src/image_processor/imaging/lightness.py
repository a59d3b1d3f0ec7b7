"""Changes lightness or hue alone, in CIELAB (CIE 15:2004)."""

import pyvips

from image_processor.imaging.alpha import Change, on_colors
from image_processor.imaging.color import in_color, is_gray, rgba


def on_lightness(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Change the lightness in 16 bits, and keep hue and chroma; of a gray image, change the values in their depth."""

    def changed(colors: pyvips.Image) -> pyvips.Image:
        if is_gray(colors):
            return change(colors).copy(interpretation=colors.interpretation)
        lab = colors.colourspace("lab")
        lightness = change((lab[0] * 655.35).rint().cast("ushort")) / 655.35
        return _encoded(lightness.bandjoin(lab[1:3]), colors)

    return on_colors(image, changed)


def tinted(image: pyvips.Image, color: str, amount: float) -> pyvips.Image:
    """Return the image with hue and chroma moved towards those of ``color`` by the share ``amount``."""
    red, green, blue, _ = rgba(color)
    pixel = pyvips.Image.black(1, 1).linear(1, [red, green, blue]).cast("uchar").copy(interpretation="srgb")
    _, a, b = pixel.colourspace("lab")(0, 0)

    def changed(colors: pyvips.Image) -> pyvips.Image:
        lab = colors.colourspace("lab")
        return _encoded(
            lab[0].bandjoin([lab[1] * (1 - amount) + a * amount, lab[2] * (1 - amount) + b * amount]), colors
        )

    return on_colors(in_color(image), changed)


def _encoded(lab: pyvips.Image, like: pyvips.Image) -> pyvips.Image:
    return lab.copy(interpretation="lab").colourspace(like.interpretation)
