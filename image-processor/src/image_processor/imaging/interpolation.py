"""Enlarges images by matrix products: faster than libvips, and with kernels that libvips has for shrinking only."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from image_processor.imaging.arrays import DeepPixels

Values = NDArray[numpy.float32]
Distances = NDArray[numpy.float64]
Weights = NDArray[numpy.float64]

_ROWS, _COLUMNS = 64, 16
"""Pixels of the result per matrix product; fewer columns, because their matrix has a row for each band."""


class Kernel(NamedTuple):
    """The weight of a pixel by its distance; 0 from ``reach`` on."""

    weight: Callable[[Distances], Weights]
    reach: int


def _lanczos(reach: int) -> Kernel:
    def weight(x: Distances) -> Weights:
        inside: Weights = numpy.where(numpy.abs(x) < reach, numpy.sinc(x) * numpy.sinc(x / reach), 0)
        return inside

    return Kernel(weight, reach)


def _mitchell(x: Distances) -> Weights:
    """Return the weights of D. Mitchell and A. Netravali, B = C = 1/3.

    ("Reconstruction Filters in Computer Graphics", 1988.)
    """
    x = numpy.abs(x)
    near = (7 * x**3 - 12 * x**2 + 16 / 3) / 6
    far = (-7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3) / 6
    weights: Weights = numpy.where(x < 1, near, numpy.where(x < 2, far, 0))
    return weights


def _cubic(x: Distances) -> Weights:
    """Return the weights of R. Keys ("Cubic Convolution Interpolation for Digital Image Processing", 1981)."""
    x = numpy.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights: Weights = numpy.where(x < 1, near, numpy.where(x < 2, far, 0))
    return weights


_KERNELS: Mapping[str, Kernel] = {
    "cubic": Kernel(_cubic, 2),
    "mitchell": Kernel(_mitchell, 2),
    "lanczos2": _lanczos(2),
    "lanczos3": _lanczos(3),
}


def interpolated(pixels: DeepPixels, width: int, height: int, kernel: str) -> DeepPixels:
    """Return the pixels, height × width × bands, enlarged to that size, their edges extended."""
    rows, columns, bands = pixels.shape
    result = numpy.empty((height, width * bands), pixels.dtype)
    across = [_for_bands(block, bands) for block in _blocks(columns, width, _KERNELS[kernel], _COLUMNS)]
    made = numpy.empty((_ROWS, width * bands), "float32")
    for start, stop, taken, weights in _blocks(rows, height, _KERNELS[kernel], _ROWS):
        lines = weights @ pixels[taken].reshape(len(taken), -1).astype("float32")
        wide = made[: stop - start]
        for first, last, places, shares in across:
            # Away from the edges the columns are contiguous: a slice needs no copy.
            contiguous = places[-1] - places[0] + 1 == len(places)
            values = lines[:, places[0] : places[-1] + 1] if contiguous else lines[:, places]
            numpy.matmul(values, shares, out=wide[:, first:last])
        _store(wide, result[start:stop])
    return result.reshape(height, width, bands)


def _store(values: Values, result: DeepPixels) -> None:
    """Store the values in the result, rounded and clamped if it has integers."""
    white = {"uint8": 255, "uint16": 65535}.get(result.dtype.name)
    if white is not None:
        numpy.rint(values, out=values)
        numpy.clip(values, 0, white, out=values)
    result[...] = values


class _Block(NamedTuple):
    """A part of a side of the result: its range, the source positions that it is computed from, and their weights."""

    start: int
    stop: int
    taken: NDArray[numpy.intp]
    weights: Values


def _for_bands(block: _Block, bands: int) -> _Block:
    """Return the block for rows in which the bands of a pixel are adjacent, its weights transposed."""
    places = (numpy.asarray(block.taken)[:, None] * bands + numpy.arange(bands)).ravel()
    weights = numpy.kron(block.weights.T, numpy.eye(bands, dtype="float32"))
    return _Block(block.start * bands, block.stop * bands, places, weights)


def _blocks(count: int, wanted: int, kernel: Kernel, size: int) -> list[_Block]:
    """Split a side of ``wanted`` pixels, made of ``count`` source pixels, into blocks."""
    blocks = []
    for start in range(0, wanted, size):
        stop = min(start + size, wanted)
        places = (numpy.arange(start, stop) + 0.5) * count / wanted - 0.5
        first, last = int(numpy.floor(places[0])) - kernel.reach + 1, int(numpy.floor(places[-1])) + kernel.reach
        near = numpy.arange(first, last + 1)
        weights = kernel.weight(places[:, None] - near[None, :])
        weights /= weights.sum(axis=1, keepdims=True)
        blocks.append(_Block(start, stop, numpy.clip(near, 0, count - 1), weights.astype("float32")))
    return blocks
