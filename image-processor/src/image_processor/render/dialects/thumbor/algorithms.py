"""Algorithms for thumbor's URLs only, whose filters compute differently from the catalog's algorithms."""

import math
from collections.abc import Sequence

import numpy
import pyvips
from pydantic import Field

from image_processor.algorithms.overlay import Offset
from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import faded, on_colors
from image_processor.imaging.arrays import pixels_of, with_pixels
from image_processor.imaging.color import in_color, in_eight_bits, is_gray, with_alpha
from image_processor.imaging.composite import laid
from image_processor.imaging.files import Files
from image_processor.imaging.params import FileId, NoParams
from image_processor.imaging.scaling import scaled
from image_processor.render.plans.deferred import own

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_MOST_COPIES, _FEWER_A_SIDE = 100, 6
_LEAST_GAP = 10


class PerceivedSaturationParams(Params):
    factor: float = Field(ge=-1000, le=1000, description="0: gray, 1: as it is.")


@algorithm(sequential=True)
def perceived_saturation(image: pyvips.Image, params: PerceivedSaturationParams) -> pyvips.Image:
    """Make colors stronger or weaker as thumbor does: gray is the root of the weighted mean of the squares."""
    if is_gray(image):
        return image

    def changed(colors: pyvips.Image) -> pyvips.Image:
        weights = pyvips.Image.new_from_array([[_RED, _GREEN, _BLUE]])
        gray = (colors.cast("float") ** 2).recomb(weights) ** 0.5
        made = (gray + (colors - gray) * params.factor).cast(colors.format)
        return made.copy(interpretation=colors.interpretation)

    return on_colors(image, changed)


@algorithm
def equalize_bands(image: pyvips.Image, params: NoParams) -> pyvips.Image:  # noqa: ARG001 (the signature of every algorithm)
    """Spread the tones of each band as thumbor does, so that colors change too."""
    return on_colors(in_eight_bits(in_color(image)), _equalized)


def _equalized(colors: pyvips.Image) -> pyvips.Image:
    pixels = pixels_of(colors)
    area = pixels.shape[0] * pixels.shape[1]
    bands = range(pixels.shape[2])
    counts = [numpy.bincount(pixels[..., band].ravel(), minlength=256) for band in bands]
    # Each band is counted from the darkest tone of all bands.
    darkest = int(pixels.min())
    made = numpy.empty_like(pixels)
    for band in bands:
        least = int(counts[band][darkest])
        if area == least:
            made[..., band] = pixels[..., band]
            continue
        table = numpy.clip((counts[band].cumsum() - least) / (area - least) * 255, 0, 255).astype(numpy.uint8)
        made[..., band] = table[pixels[..., band]]
    return with_pixels(colors, made)


class SpacedMarksParams(Params):
    file_id: FileId
    along_x: bool = Field(description="Whether the mark is repeated from left to right.")
    along_y: bool = Field(description="Whether the mark is repeated from top to bottom.")
    x: Offset = Field(
        0, description="Pixels from the left, if it is not repeated there; from the right if `from_right`."
    )
    y: Offset = Field(
        0, description="Pixels from the top, if it is not repeated there; from the bottom if `from_bottom`."
    )
    from_right: bool = False
    from_bottom: bool = False
    center_x: bool = False
    center_y: bool = False
    width: float = Field(0, ge=0, le=1000, description="Percent of the picture; 0: unchanged.")
    height: float = Field(0, ge=0, le=1000, description="Percent of the picture; 0: unchanged.")
    opacity: float = Field(100, ge=0, le=100)

    def file_ids(self) -> Sequence[int]:
        return [self.file_id]


@algorithm
def spaced_marks(image: pyvips.Image, params: SpacedMarksParams, files: Files) -> pyvips.Image:
    """Repeat a mark as thumbor does: only whole marks, with the remaining space between them."""
    mark = faded(_sized(files.image(params.file_id), image, params), params.opacity / 100)
    across, down = _copies(image.width, mark.width), _copies(image.height, mark.height)
    if params.along_x and params.along_y and across[0] * down[0] > _MOST_COPIES:
        across = _fewer(across[0], image.width, mark.width)
        down = _fewer(down[0], image.height, mark.height)
    left = (
        0
        if params.along_x
        else _start(params.x, image.width - mark.width, far=params.from_right, middle=params.center_x)
    )
    top = (
        0
        if params.along_y
        else _start(params.y, image.height - mark.height, far=params.from_bottom, middle=params.center_y)
    )
    columns, gap_x = (across[0], _gap(*across)) if params.along_x else (1, 0)
    rows, gap_y = (down[0], _gap(*down)) if params.along_y else (1, 0)
    # All marks are one image: 500 of them, put on the picture one after the other, would take minutes.
    cell = with_alpha(in_color(mark)).embed(0, 0, mark.width + gap_x, mark.height + gap_y)
    return laid(image, cell.replicate(columns, rows), left, top)


def _sized(mark: pyvips.Image, image: pyvips.Image, params: SpacedMarksParams) -> pyvips.Image:
    shares = [
        side * percent / 100 / own_side
        for side, percent, own_side in (
            (image.width, params.width, mark.width),
            (image.height, params.height, mark.height),
        )
        if percent
    ]
    if not shares:
        return mark
    return scaled(mark, max(1, round(mark.width * min(shares))), max(1, round(mark.height * min(shares))))


def _copies(side: int, mark: int) -> tuple[int, int]:
    """Return how many marks fit along a side, and how many pixels remain."""
    if side / mark < 2:
        return math.ceil(side / mark), _LEAST_GAP
    return divmod(side, mark)


def _fewer(copies: int, side: int, mark: int) -> tuple[int, int]:
    kept = min(_FEWER_A_SIDE, copies)
    return kept, side - kept * mark


def _gap(copies: int, room: int) -> int:
    return room // (max(copies, 2) - 1)


def _start(offset: int, room: int, *, far: bool, middle: bool) -> int:
    if middle:
        return int(room / 2)
    return room - offset if far else offset


for _algorithm in (perceived_saturation, equalize_bands, spaced_marks):
    own(_algorithm)
