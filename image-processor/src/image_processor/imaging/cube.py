"""Reads color look-up tables in the `.cube` format (Adobe, "Cube LUT Specification 1.0", 2013)."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy
import pyvips
from numpy.typing import NDArray
from service_kit.texts import counted, sentence

from image_processor.imaging.picture import UnsuitableImageError

Table = NDArray[numpy.float32]

_LARGEST = {"LUT_1D_SIZE": 65_536, "LUT_3D_SIZE": 256}
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
"""Finds one line at a time: a list of all lines takes many times the memory of the file."""
_LONGEST_LINE = 1000
"""The longest accepted line in characters; the specification allows 250."""


class Cube(Protocol):
    """A look-up table."""

    def apply(self, values: pyvips.Image) -> pyvips.Image:
        """Return the new colors of three bands of values from 0 to 1."""


def read_cube(text: str) -> Cube:
    """Parse the text of a file; stop at the first line that cannot belong to a look-up table.

    :raises UnsuitableImageError: the text is not a look-up table; the message names the line.
    """
    sizes: dict[str, int] = {}
    domain = {"DOMAIN_MIN": [0.0, 0.0, 0.0], "DOMAIN_MAX": [1.0, 1.0, 1.0]}
    colors = array("f")
    wanted = 0
    for number, found in enumerate(_LINE.finditer(text), 1):
        line = found[0].strip()
        if not line or line.startswith("#"):
            continue
        if len(line) > _LONGEST_LINE:
            raise _not_cube(number)
        words = line.split()
        if words[0] == "TITLE":
            continue
        try:
            if words[0] in _LARGEST:
                sizes[words[0]] = int(words[1])
                wanted = _colors_wanted(sizes)
            elif words[0] in domain:
                domain[words[0]] = _three(words[1:])
            else:
                colors.extend(_three(words))
        except (ValueError, IndexError) as error:
            raise _not_cube(number) from error
        if len(colors) > 3 * wanted:
            raise _too_many(sizes, wanted)
    return _cube(sizes, domain, colors)


def _not_cube(number: int) -> UnsuitableImageError:
    return UnsuitableImageError(sentence("Line {number} of the LUT does not follow the .cube format.", number=number))


def _too_many(sizes: dict[str, int], wanted: int) -> UnsuitableImageError:
    if not sizes:
        return UnsuitableImageError(sentence("The LUT must have either LUT_1D_SIZE or LUT_3D_SIZE before its colors."))
    (size,) = sizes.values()
    return UnsuitableImageError(
        counted(
            "The LUT has more than {wanted:,} color; its size of {size} needs {wanted:,}.",
            "The LUT has more than {wanted:,} colors; its size of {size} needs {wanted:,}.",
            "wanted",
            wanted=wanted,
            size=size,
        )
    )


def _colors_wanted(sizes: dict[str, int]) -> int:
    """Return how many colors a table of this size has.

    :raises UnsuitableImageError: there is not exactly one size, or the size is not possible.
    """
    if len(sizes) != 1:
        raise UnsuitableImageError(sentence("The LUT must have either LUT_1D_SIZE or LUT_3D_SIZE."))
    ((kind, size),) = sizes.items()
    if not 2 <= size <= _LARGEST[kind]:
        raise UnsuitableImageError(sentence("A LUT cannot have the size {size}.", size=size))
    return size**3 if kind == "LUT_3D_SIZE" else size


def _three(words: Sequence[str]) -> list[float]:
    values = [float(word) for word in words]
    if len(values) != 3 or not all(numpy.isfinite(values)):
        raise ValueError("not three numbers")
    return values


def _cube(sizes: dict[str, int], domain: dict[str, list[float]], rows: "array[float]") -> Cube:
    wanted = _colors_wanted(sizes)
    ((kind, size),) = sizes.items()
    if len(rows) != 3 * wanted:
        raise UnsuitableImageError(
            counted(
                "The LUT has {count:,} color; its size of {size} needs {wanted:,}.",
                "The LUT has {count:,} colors; its size of {size} needs {wanted:,}.",
                "count",
                count=len(rows) // 3,
                size=size,
                wanted=wanted,
            )
        )
    low, high = domain["DOMAIN_MIN"], domain["DOMAIN_MAX"]
    if any(top <= bottom for bottom, top in zip(low, high, strict=True)):
        raise UnsuitableImageError(sentence("The LUT's DOMAIN_MAX must be above its DOMAIN_MIN."))
    grid = Grid(size, low, high)
    colors = numpy.frombuffer(rows, dtype="float32").reshape(wanted, 3)
    return Cube3d(colors, grid) if kind == "LUT_3D_SIZE" else Cube1d(colors, grid)


@dataclass(frozen=True)
class Grid:
    """The values for which a table has entries: ``size`` in each band, evenly spaced from ``low`` to ``high``."""

    size: int
    low: Sequence[float]
    high: Sequence[float]

    def places(self, values: pyvips.Image) -> pyvips.Image:
        """Return the positions of the values in the table, in steps of the table."""
        last = self.size - 1
        span = [high - low for low, high in zip(self.low, self.high, strict=True)]
        return ((values - list(self.low)) / span * last).clamp(min=0, max=last)


@dataclass(frozen=True)
class Cube1d:
    """A curve for each band."""

    colors: Table
    grid: Grid

    def apply(self, values: pyvips.Image) -> pyvips.Image:
        places = self.grid.places(values)
        lines = pyvips.Image.new_from_array(self.colors.reshape(1, self.grid.size, 3))
        red, green, blue = (lines[band].mapim(places[band].bandjoin(0), extend="copy") for band in range(3))
        return red.bandjoin([green, blue])


@dataclass(frozen=True)
class Cube3d:
    """A color for each point of a grid, with trilinear interpolation between them. Red changes fastest."""

    colors: Table
    grid: Grid

    def apply(self, values: pyvips.Image) -> pyvips.Image:
        size = self.grid.size
        places = self.grid.places(values)
        red, green, blue = places[0], places[1], places[2]
        # The layers of equal blue are stacked in one image; libvips interpolates within a layer.
        layers = pyvips.Image.new_from_array(self.colors.reshape(size * size, size, 3))
        below = blue.floor()
        above = (below + 1).clamp(min=0, max=size - 1)

        def layer(number: pyvips.Image) -> pyvips.Image:
            return layers.mapim(red.bandjoin(green + number * size), extend="copy")

        share = blue - below
        return layer(below) * (share * -1 + 1) + layer(above) * share
