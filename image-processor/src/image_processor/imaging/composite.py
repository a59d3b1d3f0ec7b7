"""Composites an image over another."""

from collections.abc import Mapping

import pyvips

from image_processor.imaging.alpha import faded, rounded
from image_processor.imaging.color import color_bands, in_color, maximum, with_alpha

_BY_ALPHA: Mapping[str, str] = {"normal": "over", "add": "add"}
"""The modes that mix colors by alpha alone, which libvips computes correctly."""


def laid(base: pyvips.Image, over: pyvips.Image, left: int, top: int, mode: str = "normal") -> pyvips.Image:
    """Return ``base`` with ``over`` at ``left``, ``top``, both gray or sRGB; size and depth are those of ``base``.

    :param mode: one of W3C's Compositing and Blending 1, or ``add``.
    """
    base = in_color(base)
    ground, layer = _in_floats(base), _in_floats(in_color(over))
    layer = _within(layer, left, top, base)
    if mode not in _BY_ALPHA:
        layer = _blended(ground, layer, mode)
    made = _composed(ground, layer, _BY_ALPHA.get(mode, "over"))
    made = rounded(made * (maximum(base) / 255), base.format).copy(interpretation=base.interpretation)
    return made if base.hasalpha() else made[0:3].copy(interpretation=base.interpretation)


def masked(base: pyvips.Image, mask: pyvips.Image, left: int, top: int, *, out: bool) -> pyvips.Image:
    """Return ``base``, erased where ``mask`` at ``left``, ``top`` is transparent; with ``out``, where it is opaque."""
    share = _within(with_alpha(mask)[-1] / maximum(mask), left, top, base)
    return faded(base, share * -1 + 1 if out else share)


def _within(layer: pyvips.Image, left: int, top: int, base: pyvips.Image) -> pyvips.Image:
    """Return the layer on a transparent canvas as large as ``base``."""
    meets = -layer.width < left < base.width and -layer.height < top < base.height
    if not meets:
        return (layer.crop(0, 0, 1, 1) * 0).embed(0, 0, base.width, base.height)
    return layer.embed(left, top, base.width, base.height)


def _in_floats(image: pyvips.Image) -> pyvips.Image:
    """Return the image with alpha, in values of 0 to 255 for any depth."""
    return (with_alpha(image) * (255 / maximum(image))).copy(interpretation="srgb")


def _blended(ground: pyvips.Image, layer: pyvips.Image, mode: str) -> pyvips.Image:
    """Return the layer with its colors blended with those of the ground, weighted by the alpha of the ground.

    (W3C, Compositing and Blending 1, 9: Cs = (1 - αb) · Cs + αb · B(Cb, Cs).) libvips follows the W3C for opaque images
    only.
    """
    blend = color_bands(_composed(_opaque(ground), _opaque(layer), mode))
    if mode == "color-burn":
        blend = (color_bands(ground) >= 255).ifthenelse(255, blend)  # libvips burns white with black to black
    backdrop = ground[3] / 255
    mixed = layer[0:3] * (backdrop * -1 + 1) + blend * backdrop
    return mixed.bandjoin(layer[3]).copy(interpretation="srgb")


def _opaque(image: pyvips.Image) -> pyvips.Image:
    return color_bands(image).bandjoin(255).copy(interpretation="srgb")


def _composed(ground: pyvips.Image, layer: pyvips.Image, mode: str) -> pyvips.Image:
    return ground.composite2(layer, mode.replace("color", "colour"), compositing_space="srgb")
