"""Handles transparency: keeps alpha when only colors change, and weights colors by alpha when neighbors are mixed."""

from collections.abc import Callable

import pyvips

from image_processor.imaging.color import alpha_band, color_bands, maximum, with_alpha

Change = Callable[[pyvips.Image], pyvips.Image]


def on_colors(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Change the colors and keep the alpha; the result has the format of the image."""
    alpha = alpha_band(image)
    changed = rounded(change(color_bands(image)), image.format)
    if alpha is None:
        return changed
    return changed.bandjoin(alpha).copy(interpretation=changed.interpretation)


def on_premultiplied(image: pyvips.Image, change: Change) -> pyvips.Image:
    """Change colors weighted by their alpha, so that transparent pixels do not bleed into visible ones.

    (T. Porter and T. Duff, "Compositing Digital Images", 1984.) The result has the format of the image.
    """
    if not image.hasalpha():
        return rounded(change(image), image.format)
    return rounded(_weighted(image, change), image.format).copy(interpretation=image.interpretation)


def local_mean(image: pyvips.Image, blur: Change) -> pyvips.Image:
    """Return the blurred colors, each weighted by its alpha, in floating point and without alpha."""
    return color_bands(_weighted(image, blur)) if image.hasalpha() else blur(image)


def on_visible(image: pyvips.Image, reach: int, change: Change) -> pyvips.Image:
    """Apply a filter that reads pixels up to ``reach`` away; keep the alpha.

    Invisible pixels first get the colors of visible pixels nearby, so that their own colors do not count.
    """
    return on_colors(_filled(image, reach), change)


def _weighted(image: pyvips.Image, change: Change) -> pyvips.Image:
    white = maximum(image)
    return change(image.premultiply(max_alpha=white)).unpremultiply(max_alpha=white)


def _filled(image: pyvips.Image, reach: int) -> pyvips.Image:
    alpha = alpha_band(image)
    if alpha is None:
        return image
    # A box blur of twice the reach covers every pixel that the filter may read.
    side = 4 * reach + 1
    square = pyvips.Image.new_from_array([[1.0] * side], side)
    near = rounded(local_mean(image, lambda bands: bands.convsep(square, precision="float")), image.format)
    colors = (alpha > 0).ifthenelse(color_bands(image), near)
    return colors.bandjoin(alpha).copy(interpretation=image.interpretation)


def without_hidden_colors(image: pyvips.Image) -> pyvips.Image:
    """Return the image with the colors of invisible pixels replaced by those of visible pixels nearby.

    Encoders that subsample colors mix neighbors, and would otherwise reveal hidden colors.
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
    colors = color_bands(levels.pop().unpremultiply(max_alpha=maximum(image)))
    for level in reversed(levels):
        near = colors.zoom(_PULL, _PULL).crop(0, 0, level.width, level.height)
        own = color_bands(level.unpremultiply(max_alpha=maximum(image)))
        colors = (level[level.bands - 1] > 0).ifthenelse(own, near)
    filled = (alpha > 0).ifthenelse(color_bands(image), rounded(colors, image.format))
    return filled.bandjoin(alpha).copy(interpretation=image.interpretation)


_PULL = 4
"""The side, in pixels, of the squares that one step averages."""


def faded(image: pyvips.Image, share: pyvips.Image | float) -> pyvips.Image:
    """Return the image with its alpha multiplied by ``share``, 0 to 1: a number, or an image with a value per pixel."""
    image = with_alpha(image)
    alpha = rounded(image[image.bands - 1] * share, image.format)
    return color_bands(image).bandjoin(alpha).copy(interpretation=image.interpretation)


def rounded(image: pyvips.Image, band_format: str) -> pyvips.Image:
    """Return the image in the format, rounded to the nearest integer and clamped to the range."""
    if image.format == band_format:
        return image
    return (image.rint() if image.format in ("float", "double") else image).cast(band_format)
