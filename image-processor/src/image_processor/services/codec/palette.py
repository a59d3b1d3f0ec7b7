"""Counts the colors of an image, and reduces them to a palette."""

from typing import TypeAlias

import numpy
import pyvips

MOST = 256
"""Maximum number of colors in a palette."""
_AT_ONCE = 1_000_000
"""Pixels counted per step, to limit memory."""

Array: TypeAlias = numpy.ndarray


def colors_of(image: pyvips.Image) -> int | None:
    """Return the number of colors of an 8-bit image in memory; None if a palette cannot hold them."""
    if image.format != "uchar" or image.bands > 4:
        return None
    seen = numpy.empty(0, "uint32")
    rows = max(1, _AT_ONCE // image.width)
    for top in range(0, image.height, rows):
        part = image.crop(0, top, image.width, min(rows, image.height - top))
        seen = numpy.union1d(seen, _packed(part.numpy()))
        if len(seen) > MOST:
            return None
    return len(seen)


def with_at_most(image: pyvips.Image, colors: int, quality: int, effort: int) -> pyvips.Image:
    """Return the image with at most ``colors`` colors; libvips itself supports only 2, 4, 16 or 256."""
    bits = bits_for(colors)
    quantized = image.pngsave_buffer(palette=True, Q=quality, bitdepth=bits, effort=effort, compression=1)
    roughly = pyvips.Image.pngload_buffer(quantized)
    values = roughly.numpy().reshape(-1, roughly.bands)
    packed, place, counts = numpy.unique(_packed(values), return_inverse=True, return_counts=True)
    if len(packed) > colors:
        first = numpy.zeros(len(packed), "int64")
        first[place] = numpy.arange(len(place))
        values = _merged(values[first].astype("float64"), counts.astype("float64"), colors)[place]
    made = pyvips.Image.new_from_memory(
        numpy.ascontiguousarray(values.astype("uint8")).tobytes(), roughly.width, roughly.height, roughly.bands, "uchar"
    )
    made = made.copy(interpretation=roughly.interpretation)
    return _like(made, image)


def bits_for(colors: int) -> int:
    """Return the bits per pixel for a palette of this many colors; PNG supports 1, 2, 4 and 8."""
    return next(bits for bits in (1, 2, 4, 8) if 2**bits >= colors)


def _merged(palette: Array, weights: Array, colors: int) -> Array:
    """Return the replacement of each color, found by repeatedly merging the two colors whose merging costs least.

    (J. H. Ward, "Hierarchical grouping to optimize an objective function", 1963.)
    """
    replacement = numpy.arange(len(palette))
    palette, weights = palette.copy(), weights.copy()

    def cost_of(index: int) -> Array:
        distances: Array = ((palette - palette[index]) ** 2).sum(axis=1)
        cost: Array = distances * weights * weights[index] / (weights + weights[index])
        return numpy.where(gone, numpy.inf, cost)

    gone = numpy.zeros(len(palette), "bool")
    costs = numpy.stack([cost_of(index) for index in range(len(palette))])
    numpy.fill_diagonal(costs, numpy.inf)
    for _ in range(len(palette) - colors):
        kept, lost = divmod(int(costs.argmin()), len(palette))
        total = weights[kept] + weights[lost]
        palette[kept] = (palette[kept] * weights[kept] + palette[lost] * weights[lost]) / total
        weights[kept] = total
        replacement[replacement == lost] = kept
        gone[lost] = True
        costs[lost, :] = costs[:, lost] = numpy.inf
        costs[kept, :] = costs[:, kept] = cost_of(kept)
        costs[kept, kept] = numpy.inf
    merged: Array = numpy.rint(palette)[replacement]
    return merged


def _packed(values: Array) -> Array:
    """Return each pixel packed into an integer."""
    values = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    packed = numpy.zeros(len(values), "uint32")
    for band in range(values.shape[1]):
        packed = (packed << 8) | values[:, band]
    return packed


def _like(made: pyvips.Image, image: pyvips.Image) -> pyvips.Image:
    """Return ``made`` with the metadata of the image."""
    for field in image.get_fields():
        if not made.get_typeof(field):
            made.set_type(image.get_typeof(field), field, image.get(field))
    return made.copy(xres=image.xres, yres=image.yres)
