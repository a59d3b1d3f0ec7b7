"""Transparency: kept out of a change of colors, and weighing the colors where neighbors are mixed."""

from collections.abc import Callable

import pyvips

from image_processor.imaging.colour import alpha_band, colour_bands, maximum, with_alpha

Change = Callable[[pyvips.Image], pyvips.Image]


def on_colours(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Changes the colors and leaves the alpha as it was; the result has the image's own format."""
    alpha = alpha_band(image)
    changed = rounded(change(colour_bands(image)), image.format)
    if alpha is None:
        return changed
    return changed.bandjoin(alpha).copy(interpretation=changed.interpretation)


def on_premultiplied(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Changes colors weighed by their alpha, so that those of transparent pixels do not bleed into visible ones.

    (T. Porter and T. Duff, "Compositing Digital Images", 1984.) The result has the image's own format.
    """
    if not image.hasalpha():
        return rounded(change(image), image.format)
    return rounded(_weighed(image, change), image.format).copy(interpretation=image.interpretation)


def local_mean(image: pyvips.Image, blur: Change) -> pyvips.Image:
    """Return the blurred colors, each weighed by its alpha, in floating point and without alpha."""
    return colour_bands(_weighed(image, blur)) if image.hasalpha() else blur(image)


def on_visible(image: pyvips.Image, reach: int, change: Change) -> pyvips.Image:
    """Change the colors by a filter of pixels up to ``reach`` apart, and leave the alpha as it was.

    Invisible pixels are given the colors of visible ones near them first, so that what they hide has no part in it.
    """
    return on_colours(_filled(image, reach), change)


def _weighed(image: pyvips.Image, change: Change) -> pyvips.Image:
    white = maximum(image)
    return change(image.premultiply(max_alpha=white)).unpremultiply(max_alpha=white)


def _filled(image: pyvips.Image, reach: int) -> pyvips.Image:
    alpha = alpha_band(image)
    if alpha is None:
        return image
    # A square blur of twice the reach touches every pixel that the filter may see.
    side = 4 * reach + 1
    square = pyvips.Image.new_from_array([[1.0] * side], side)
    near = rounded(local_mean(image, lambda bands: bands.convsep(square, precision="float")), image.format)
    colors = (alpha > 0).ifthenelse(colour_bands(image), near)
    return colors.bandjoin(alpha).copy(interpretation=image.interpretation)


def without_hidden_colors(image: pyvips.Image) -> pyvips.Image:
    """Return the image, its invisible pixels in colors of visible ones near them.

    What mixes neighbors, as encoders do that keep fewer colors than pixels, then shows nothing of what was hidden.
    (S. Gortler et al., "The Lumigraph", 1996: pull and push.)
    """
    alpha = alpha_band(image)
    if alpha is None:
        return image
    levels = [image.premultiply(max_alpha=maximum(image))]
    while max(levels[-1].width, levels[-1].height) > 1:
        level = levels[-1]
        across, down = -(-level.width // _PULL) * _PULL, -(-level.height // _PULL) * _PULL
        levels.append(level.embed(0, 0, across, down).shrink(_PULL, _PULL).copy_memory())
    colors = colour_bands(levels.pop().unpremultiply(max_alpha=maximum(image)))
    for level in reversed(levels):
        near = colors.zoom(_PULL, _PULL).crop(0, 0, level.width, level.height)
        own = colour_bands(level.unpremultiply(max_alpha=maximum(image)))
        colors = (level[level.bands - 1] > 0).ifthenelse(own, near)
    filled = (alpha > 0).ifthenelse(colour_bands(image), rounded(colors, image.format))
    return filled.bandjoin(alpha).copy(interpretation=image.interpretation)


_PULL = 4
"""Pixels along the sides of the squares that are mixed."""


def faded(image: pyvips.Image, share: pyvips.Image | float) -> pyvips.Image:
    """The image with its alpha multiplied by ``share``, 0 to 1: everywhere the same, or one for each pixel."""
    image = with_alpha(image)
    alpha = rounded(image[image.bands - 1] * share, image.format)
    return colour_bands(image).bandjoin(alpha).copy(interpretation=image.interpretation)


def rounded(image: pyvips.Image, band_format: str) -> pyvips.Image:
    """The image as whole numbers, to the nearest and within the range of the format."""
    if image.format == band_format:
        return image
    return (image.rint() if image.format in ("float", "double") else image).cast(band_format)
