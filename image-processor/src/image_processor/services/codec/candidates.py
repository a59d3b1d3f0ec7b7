"""Chooses the outputs to compare if the smallest file of several formats is wanted."""

from collections.abc import Mapping, Sequence

import pyvips

from image_processor.imaging.color import in_srgb
from image_processor.imaging.output import STILL, Output
from image_processor.imaging.ssim import comparable
from image_processor.services.codec.search import SAMPLED_FROM, sample_of

SIMPLE_BELOW = 1.5
"""Bits of :func:`complexity` below which an image is simple: drawings have less than 1, photographs 2 to 8."""


def candidates(
    image: pyvips.Image, formats: Sequence[str], outputs: Mapping[str, Output], *, animated: bool
) -> dict[str, Output]:
    """Return the outputs to compare, by the names of their formats.

    A format is left out if it cannot hold all frames or the transparency. If one of the others is PNG, a simple image
    keeps all its pixels; AVIF is then left out, because lossless AVIF is slow and large. With a limit, PNG is the last
    resort, because the limit does not apply to it.

    :param outputs: the output in each format, by its name.
    """
    unsuitable = STILL if animated else ("gif", "jpeg") if image.hasalpha() else ("gif",)
    chosen = {name: outputs[name] for name in formats if name not in unsuitable}
    if "png" not in chosen:
        return chosen
    if any(output.max_bytes is not None or output.min_ssim is not None for output in chosen.values()):
        return {name: output for name, output in chosen.items() if name != "png"} or chosen
    if complexity(image) >= SIMPLE_BELOW:
        return chosen
    lossless = {"lossless": True}
    return {name: chosen[name].model_copy(update=lossless) for name in ("png", "webp") if name in chosen}


def complexity(image: pyvips.Image) -> float:
    """Return the entropy of the differences between neighboring pixels of a row, in bits; of a sample if it is large.

    The differences of luma are what a lossless encoder has to write. (C. E. Shannon, "A Mathematical Theory of
    Communication", 1948.)
    """
    if image.width == 1:
        return 0
    shown = in_srgb(sample_of(image) if image.width * image.height > SAMPLED_FROM else image)
    luma = comparable(shown)
    left, right = luma.crop(0, 0, luma.width - 1, luma.height), luma.crop(1, 0, luma.width - 1, luma.height)
    # Modulo 256, as PNG's filters.
    differences = (right.cast("short") - left + 256) % 256
    return float(differences.cast("uchar").hist_find().hist_entropy())
