"""Grey from colours, and changes of colour that are a matrix."""

from collections.abc import Sequence

import pyvips

from image_processor.imaging.alpha import on_colours, rounded
from image_processor.imaging.colour import BLUE, GREEN, RED, in_colour, is_grey


def luma_of(colours: pyvips.Image) -> pyvips.Image:
    """One grey band of the same brightness, in the image's own format."""
    return rounded(exact_luma_of(colours), colours.format)


def exact_luma_of(colours: pyvips.Image) -> pyvips.Image:
    """Return the luma of colors in floating point, for filters that would make its rounding larger."""
    if is_grey(colours):
        return colours
    grey = "grey16" if colours.format == "ushort" else "b-w"
    return colours.recomb(pyvips.Image.new_from_array([[RED, GREEN, BLUE]])).copy(interpretation=grey)


def with_matrix(image: pyvips.Image, rows: Sequence[Sequence[float]]) -> pyvips.Image:
    """Each of red, green and blue becomes a sum of all three, weighed by a row; alpha stays, grey becomes colour."""
    matrix = pyvips.Image.new_from_array([list(row) for row in rows])

    def mixed(colours: pyvips.Image) -> pyvips.Image:
        return colours.recomb(matrix).copy(interpretation=colours.interpretation)

    return on_colours(in_colour(image), mixed)
