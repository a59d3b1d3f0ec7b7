"""``dominant_colors``: ``{"count": 5}``"""

import numpy
from numpy.typing import NDArray
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.arrays import pixels_of
from image_processor.imaging.color import in_color, in_eight_bits, with_alpha
from image_processor.imaging.output import Report
from image_processor.imaging.picture import Picture

SIDE = 128
ROUNDS = 24
Points = NDArray[numpy.float64]


class DominantColorsParams(Params):
    count: int = Field(5, ge=1, le=32, description="The maximum number of colors.", examples=[4])


class DominantColor(Report):
    """A color and its share of the image."""

    color: str = Field(description="`#rrggbb`")
    share: float = Field(description="The share of the visible pixels, 0 to 1.")


class DominantColorsReport(Report):
    """The colors that represent the image, the most frequent first; empty if nothing is visible."""

    colors: list[DominantColor]


@algorithm(category="analysis", sequential=True)
def dominant_colors(picture: Picture, params: DominantColorsParams) -> DominantColorsReport:
    """Find the few colors that represent the image (k-means in CIELAB); transparent pixels are ignored.

    (S. P. Lloyd, "Least squares quantization in PCM", 1982.)
    """
    image = with_alpha(in_eight_bits(in_color(picture.at_least(SIDE, SIDE)[0])))
    small = image.thumbnail_image(SIDE, height=SIDE, size="down", no_rotate=True).copy_memory()
    rgb = pixels_of(small).reshape(-1, 4)
    lab = numpy.asarray(small[0:3].colourspace("lab").numpy(), dtype="float64").reshape(-1, 3)
    visible = rgb[:, 3] >= 128
    rgb, lab = rgb[visible, :3], lab[visible]
    if len(lab) == 0:
        return DominantColorsReport(colors=[])
    owner = _clusters(lab, params.count)
    numbers, counts = numpy.unique(owner, return_counts=True)
    found = [
        DominantColor(color=_hex(rgb[owner == number].mean(axis=0)), share=round(float(count / len(owner)), 4))
        for number, count in zip(numbers, counts, strict=True)
    ]
    return DominantColorsReport(colors=sorted(found, key=lambda color: -color.share))


def _clusters(points: Points, count: int) -> NDArray[numpy.intp]:
    """Return the number of each point's cluster. The first centers are far apart, so the result is deterministic."""
    import cv2  # large, and never needed by the API

    centers = points[[numpy.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))]]
    while len(centers) < count:
        distance = _squares(points, centers).min(axis=1)
        if distance.max() < 1:
            break  # no other color differs visibly
        centers = numpy.vstack([centers, points[numpy.argmax(distance)]])
    first = _squares(points, centers).argmin(axis=1).astype("int32").reshape(-1, 1)
    end = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, ROUNDS, 0.01)
    # One point per row, as a value of three channels: OpenCV takes a single row of three values for three points.
    samples = points.astype("float32").reshape(-1, 1, 3)
    _, owner, _ = cv2.kmeans(samples, len(centers), first, end, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    return numpy.asarray(owner, dtype="intp").ravel()


def _squares(points: Points, centers: Points) -> Points:
    squares: Points = ((points[:, None, :] - centers[None, :, :]) ** 2).sum(axis=2)
    return squares


def _hex(color: NDArray[numpy.float64]) -> str:
    return "#" + "".join(f"{round(float(value)):02x}" for value in color)
