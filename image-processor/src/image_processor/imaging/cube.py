"""Color look-up tables in the `.cube` format (Adobe, "Cube LUT Specification 1.0", 2013)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy
import pyvips
from numpy.typing import NDArray

from image_processor.imaging.picture import UnsuitableImageError

Table = NDArray[numpy.float32]


class Cube(Protocol):
    """A look-up table."""

    def apply(self, values: pyvips.Image) -> pyvips.Image:
        """Return the new colors of three bands of values from 0 to 1."""


def read_cube(text: str) -> Cube:
    """Parse the text of a file.

    :raises UnsuitableImageError: the text is not a look-up table; the message names the line.
    """
    sizes: dict[str, int] = {}
    domain = {"DOMAIN_MIN": [0.0, 0.0, 0.0], "DOMAIN_MAX": [1.0, 1.0, 1.0]}
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] == "TITLE":
            continue
        try:
            if words[0] in ("LUT_1D_SIZE", "LUT_3D_SIZE"):
                sizes[words[0]] = int(words[1])
            elif words[0] in domain:
                domain[words[0]] = _three(words[1:])
            else:
                rows.append(_three(words))
        except (ValueError, IndexError) as error:
            raise UnsuitableImageError(f"Line {number} of the LUT does not follow the .cube format.") from error
    return _cube(sizes, domain, rows)


def _three(words: Sequence[str]) -> list[float]:
    values = [float(word) for word in words]
    if len(values) != 3 or not all(numpy.isfinite(values)):
        raise ValueError("not three numbers")
    return values


def _cube(sizes: dict[str, int], domain: dict[str, list[float]], rows: list[list[float]]) -> Cube:
    if len(sizes) != 1:
        raise UnsuitableImageError("The LUT must have either LUT_1D_SIZE or LUT_3D_SIZE.")
    ((kind, size),) = sizes.items()
    three_dimensional = kind == "LUT_3D_SIZE"
    if not 2 <= size <= (256 if three_dimensional else 65536):
        raise UnsuitableImageError(f"The LUT's size of {size} is not possible.")
    wanted = size**3 if three_dimensional else size
    if len(rows) != wanted:
        raise UnsuitableImageError(f"The LUT has {len(rows):,} colors; its size of {size} needs {wanted:,}.")
    low, high = domain["DOMAIN_MIN"], domain["DOMAIN_MAX"]
    if any(top <= bottom for bottom, top in zip(low, high, strict=True)):
        raise UnsuitableImageError("The LUT's DOMAIN_MAX must be above its DOMAIN_MIN.")
    grid = Grid(size, low, high)
    colors = numpy.array(rows, dtype="float32")
    return Cube3d(colors, grid) if three_dimensional else Cube1d(colors, grid)


@dataclass(frozen=True)
class Grid:
    """The values that a table has entries for: in each band ``size`` of them, evenly from ``low`` to ``high``."""

    size: int
    low: Sequence[float]
    high: Sequence[float]

    def places(self, values: pyvips.Image) -> pyvips.Image:
        """Return the positions of the values in the table, in its steps."""
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
