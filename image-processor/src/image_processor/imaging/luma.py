"""Converts colors to gray, and changes colors by a matrix."""

from collections.abc import Sequence

import pyvips

from image_processor.imaging.alpha import on_colors, rounded
from image_processor.imaging.color import BLUE, GREEN, RED, in_color, is_gray


def luma_of(colors: pyvips.Image) -> pyvips.Image:
    """Return the luma of colors as a gray band in the same format."""
    return rounded(exact_luma_of(colors), colors.format)


def exact_luma_of(colors: pyvips.Image) -> pyvips.Image:
    """Return the luma of colors in floating point, for filters that would amplify rounding errors."""
    if is_gray(colors):
        return colors
    gray = "grey16" if colors.format == "ushort" else "b-w"
    return colors.recomb(pyvips.Image.new_from_array([[RED, GREEN, BLUE]])).copy(interpretation=gray)


def with_matrix(image: pyvips.Image, rows: Sequence[Sequence[float]]) -> pyvips.Image:
    """Make each of red, green and blue the sum of all three, weighted by its row; keep alpha, convert gray to color."""
    matrix = pyvips.Image.new_from_array([list(row) for row in rows])

    def mixed(colors: pyvips.Image) -> pyvips.Image:
        return colors.recomb(matrix).copy(interpretation=colors.interpretation)

    return on_colors(in_color(image), mixed)
