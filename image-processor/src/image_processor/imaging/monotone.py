"""A smooth curve through points that never overshoots them."""

from collections.abc import Mapping

import numpy
from numpy.typing import NDArray


class MonotoneCurve:
    """A cubic Hermite curve through ``points``, constant before the first and after the last.

    (F. N. Fritsch and J. Butland, "A Method for Constructing Local Monotone Piecewise Cubic Interpolants", 1984.)
    """

    def __init__(self, points: Mapping[float, float]) -> None:
        self._x = numpy.array(sorted(points))
        self._y = numpy.array([points[x] for x in sorted(points)])
        self._slopes = _slopes(self._x, self._y)

    def __call__(self, x: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
        if len(self._x) == 1:
            return numpy.full_like(x, self._y[0])
        inside = numpy.clip(x, self._x[0], self._x[-1])
        place = numpy.clip(numpy.searchsorted(self._x, inside, side="right") - 1, 0, len(self._x) - 2)
        width = self._x[place + 1] - self._x[place]
        t = (inside - self._x[place]) / width
        value: NDArray[numpy.float64] = (
            self._y[place] * (1 + 2 * t) * (1 - t) ** 2
            + self._slopes[place] * width * t * (1 - t) ** 2
            + self._y[place + 1] * t**2 * (3 - 2 * t)
            + self._slopes[place + 1] * width * t**2 * (t - 1)
        )
        return value


def _slopes(x: NDArray[numpy.float64], y: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    slopes = numpy.zeros(len(x))
    steps = numpy.diff(y) / numpy.diff(x)
    if len(steps) == 0:
        return slopes
    slopes[0], slopes[-1] = steps[0], steps[-1]
    for place in range(1, len(x) - 1):
        before, after = steps[place - 1], steps[place]
        if before * after > 0:
            # The harmonic mean, weighted by the distances of the neighbors.
            near = (x[place + 1] - x[place]) / (x[place + 1] - x[place - 1])
            slopes[place] = before * after / ((1 - (1 + near) / 3) * before + (1 + near) / 3 * after)
    return slopes
