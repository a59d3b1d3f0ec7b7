"""Enlarging with kernels that libvips only shrinks with."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from image_processor.imaging.arrays import DeepPixels

Values = NDArray[numpy.float32]
Places = NDArray[numpy.float64]

_BLOCK = 64
"""Rows or columns that are made at a time, by one product of matrices."""


class Kernel(NamedTuple):
    """How a pixel is weighed by its distance; nothing from ``reach`` on."""

    weight: Callable[[Places], Places]
    reach: int


def _lanczos(reach: int) -> Kernel:
    def weight(x: Places) -> Places:
        inside: Places = numpy.where(numpy.abs(x) < reach, numpy.sinc(x) * numpy.sinc(x / reach), 0)
        return inside

    return Kernel(weight, reach)


def _mitchell(x: Places) -> Places:
    """Weigh as D. Mitchell and A. Netravali ("Reconstruction Filters in Computer Graphics", 1988): B = C = 1/3."""
    x = numpy.abs(x)
    near = (7 * x**3 - 12 * x**2 + 16 / 3) / 6
    far = (-7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3) / 6
    weights: Places = numpy.where(x < 1, near, numpy.where(x < 2, far, 0))
    return weights


_KERNELS: Mapping[str, Kernel] = {
    "mitchell": Kernel(_mitchell, 2),
    "lanczos2": _lanczos(2),
    "lanczos3": _lanczos(3),
}


def interpolated(pixels: DeepPixels, width: int, height: int, kernel: str) -> DeepPixels:
    """Return the pixels, height × width × bands, enlarged to that size; the last ones go on outside."""
    rows, columns, bands = pixels.shape
    result = numpy.empty((height, width, bands), pixels.dtype)
    white = {"uint8": 255, "uint16": 65535}.get(pixels.dtype.name)
    for start, stop, taken, weights in _blocks(rows, height, _KERNELS[kernel]):
        lines = weights @ pixels[taken].astype("float32").reshape(len(taken), -1)
        turned = lines.reshape(-1, columns, bands).transpose(1, 0, 2).reshape(columns, -1)
        made = _enlarged(turned, width, _KERNELS[kernel]).reshape(width, stop - start, bands).transpose(1, 0, 2)
        result[start:stop] = made if white is None else numpy.clip(numpy.rint(made), 0, white)
    return result


def _enlarged(values: Values, count: int, kernel: Kernel) -> Values:
    """Return ``count`` rows."""
    result = numpy.empty((count, values.shape[1]), "float32")
    for start, stop, taken, weights in _blocks(len(values), count, kernel):
        result[start:stop] = weights @ values[taken]
    return result


def _blocks(count: int, wanted: int, kernel: Kernel) -> list[tuple[int, int, NDArray[numpy.intp], Values]]:
    """Return for each block of the result: from, to, which of ``count`` rows it is made of, and their weights."""
    blocks = []
    for start in range(0, wanted, _BLOCK):
        stop = min(start + _BLOCK, wanted)
        places = (numpy.arange(start, stop) + 0.5) * count / wanted - 0.5
        first, last = int(numpy.floor(places[0])) - kernel.reach + 1, int(numpy.floor(places[-1])) + kernel.reach
        near = numpy.arange(first, last + 1)
        weights = kernel.weight(places[:, None] - near[None, :])
        weights /= weights.sum(axis=1, keepdims=True)
        blocks.append((start, stop, numpy.clip(near, 0, count - 1), weights.astype("float32")))
    return blocks
