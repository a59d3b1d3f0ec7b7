"""``montage``: ``{"others": [7, 8, 9], "columns": 2}``"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Literal

import pyvips
from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.canvas import flattened, placed
from image_processor.imaging.color import Color, in_color, in_eight_bits, rgba, with_alpha
from image_processor.imaging.files import Files
from image_processor.imaging.params import MAX_SIDE, FileId, hint

MAX_FILES = 200


class MontageParams(Params):
    others: Annotated[list[FileId], Field(min_length=1, max_length=MAX_FILES)] = Field(
        description="The ids of the stored images that follow the source, in order.",
        examples=[[2, 3, 2]],
        json_schema_extra=hint(widget="files"),
    )
    columns: int = Field(
        0,
        ge=0,
        le=50,
        description="The number of images in a row; 0: about as many columns as rows.",
        json_schema_extra=hint(advanced=True),
    )
    width: int = Field(
        200,
        ge=1,
        le=4096,
        description="The width of a cell, in pixels.",
        examples=[160],
        json_schema_extra=hint(unit="px"),
    )
    height: int = Field(
        200,
        ge=1,
        le=4096,
        description="The height of a cell, in pixels.",
        examples=[120],
        json_schema_extra=hint(unit="px"),
    )
    fit: Literal["contain", "cover"] = Field(
        "contain", description="`contain` shows the whole image, `cover` fills the cell.", examples=["cover"]
    )
    gap: int = Field(
        8, ge=0, le=500, description="The space between and around cells, in pixels.", json_schema_extra=hint(unit="px")
    )
    background: Color = Field("#ffffff", description="The color around the images.")

    def file_ids(self) -> Sequence[int]:
        return self.others


@algorithm(category="composing", first_frame_only=True)
def montage(image: pyvips.Image, params: MontageParams, files: Files) -> pyvips.Image:
    """Put several images on one 8-bit contact sheet, the source first."""
    count = 1 + len(params.others)
    columns = min(params.columns or math.ceil(math.sqrt(count)), count)
    rows = -(-count // columns)
    across = columns * (params.width + params.gap) + params.gap
    down = rows * (params.height + params.gap) + params.gap
    if max(across, down) > MAX_SIDE:
        raise UnsuitableImageError(
            sentence(
                "The sheet would have {across} × {down} pixels; the limit is {limit} per side.",
                across=across,
                down=down,
                limit=MAX_SIDE,
            )
        )
    ground = rgba(params.background)
    images = chain([image], map(files.image, params.others))
    cells = [_cell(cell, params) for cell in images]
    joined = pyvips.Image.arrayjoin(cells, across=columns, background=ground)
    sheet = placed(joined, across, down, "northwest", params.background)
    return flattened(sheet, params.background) if ground[3] == 255 else sheet


def _cell(image: pyvips.Image, params: MontageParams) -> pyvips.Image:
    """Return the image in its cell, with the gap to the left and above, in memory, so that its source can be freed."""
    crop = "centre" if params.fit == "cover" else "none"
    small = in_eight_bits(in_color(image)).thumbnail_image(
        params.width, height=params.height, size="down", crop=crop, no_rotate=True
    )
    cell = placed(with_alpha(small), params.width, params.height, "center", params.background)
    width, height = params.width + params.gap, params.height + params.gap
    return placed(cell, width, height, "southeast", params.background).copy_memory()
