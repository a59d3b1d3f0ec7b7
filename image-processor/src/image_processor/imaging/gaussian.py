"""The Gaussian blur, on its own and as a part of other operations."""

import math

import pyvips

LEAST_WEIGHT = 0.01
"""Weights below this share of the middle weight are dropped, which is at three standard deviations."""

_REDUCED_SIGMA = 6
"""From this standard deviation in pixels on, a smaller copy is blurred."""
_WHOLE_SIGMA, _LARGEST_WHOLE_SIGMA = 2, 25
_LARGEST_WEIGHT = 64
"""libvips is exact with integer weights up to this whose sum is a power of two."""


def gaussian(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """Return the image blurred by a Gaussian of ``sigma`` pixels, in floating point, its edges extended.

    The error is at most one level of 255, and none in areas of one value.
    """
    if sigma < _REDUCED_SIGMA:
        return image.gaussblur(sigma, precision="float", min_ampl=LEAST_WEIGHT)
    return _on_smaller_copy(image, sigma)


def gaussian_to_see(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """Return the blurred image within two levels of 255: with integer weights where possible, which is much faster."""
    if image.format != "uchar" or not _WHOLE_SIGMA <= sigma <= _LARGEST_WHOLE_SIGMA:
        return gaussian(image, sigma)
    return image.convsep(_whole_weights(sigma), precision="integer")


def _on_smaller_copy(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """Blur a copy that is shrunk until ``sigma`` is about four pixels, and enlarge the result linearly."""
    factor = int(sigma / 4) if sigma >= 8 else 2
    margin = math.ceil(3 * sigma / factor) + 1
    across, down = -(-image.width // factor) + 2 * margin, -(-image.height // factor) + 2 * margin
    ground = image.embed(margin * factor, margin * factor, across * factor, down * factor, extend="copy")
    small = ground.cast("float").shrink(factor, factor)
    # Shrinking and linear interpolation blur too; variances add up.
    rest = sigma**2 - (factor**2 - 1) / 12 - factor**2 / 6
    blurred = small.gaussblur(math.sqrt(rest) / factor, precision="float", min_ampl=LEAST_WEIGHT)
    shift = (factor - 1) / 2 - margin * factor
    large = blurred.affine(
        [factor, 0, 0, factor],
        interpolate=pyvips.Interpolate.new("bilinear"),
        odx=shift,
        ody=shift,
        oarea=[0, 0, image.width, image.height],
        extend="copy",
        premultiplied=True,
    )
    return large.copy(interpretation=image.interpretation)


def _whole_weights(sigma: float) -> pyvips.Image:
    """Return integer weights whose sum is a power of two."""
    reach = math.ceil(3 * sigma)
    exact = [math.exp(-((place / sigma) ** 2) / 2) for place in range(-reach, reach + 1)]
    total = 2 ** math.floor(math.log2(_LARGEST_WEIGHT * sum(exact)))
    weights = [round(weight * total / sum(exact)) for weight in exact]
    weights[reach] += total - sum(weights)
    return pyvips.Image.new_from_array([weights], total)
