"""Chooses the outputs to compare if the smallest file of several formats is wanted."""

from collections.abc import Mapping, Sequence

import pyvips

from image_processor.imaging.color import alpha_band, color_bands, maximum
from image_processor.imaging.output import QUICKEST, STILL, Output

PNG_EFFORT = 4
"""The effort of a PNG that is compared with other formats, unless another one is requested.

The quickest one takes a third of the time, but makes the PNG of a gradient 7 times larger and that of a drawing up to a
third, so that another format would win. Effort 6 takes three times as long, and makes a photograph 7 percent smaller.
"""


def without_opaque_alpha(image: pyvips.Image) -> pyvips.Image:
    """Return the image without its alpha if no pixel is transparent, so that formats without alpha can hold it."""
    alpha = alpha_band(image)
    return color_bands(image) if alpha is not None and alpha.min() == maximum(image) else image


def candidates(
    image: pyvips.Image, formats: Sequence[str], outputs: Mapping[str, Output], *, animated: bool
) -> list[tuple[str, Output]]:
    """Return the outputs to compare, each with the name of its format.

    A format is left out if it cannot hold all frames or the transparency; so is a PNG of few colors if an SSIM is
    wanted, because its SSIM is not measured. If PNG and WebP are among the others, lossless WebP is compared, too. No
    limit applies to PNG and lossless WebP.

    :param outputs: the output in each format, by its name.
    """
    unsuitable = STILL if animated else ("gif", "jpeg") if image.hasalpha() else ("gif",)
    chosen = {name: outputs[name] for name in formats if name not in unsuitable}
    if any(output.min_ssim is not None for output in chosen.values()):
        chosen = {name: output for name, output in chosen.items() if name != "png" or not output.palette} or chosen
    if "png" not in chosen:
        return list(chosen.items())
    if chosen["png"].effort == QUICKEST:
        chosen["png"] = chosen["png"].model_copy(update={"effort": PNG_EFFORT})
    if "webp" not in chosen or chosen["webp"].lossless:
        return list(chosen.items())
    every_pixel = {"lossless": True, "quality": None, "max_bytes": None, "min_ssim": None}
    return [*chosen.items(), ("webp", chosen["webp"].model_copy(update=every_pixel))]
