"""``animate``: ``{"others": [7, 8, 9], "delay": 500, "output": {"format": "gif"}}``"""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import flattened, placed
from image_processor.imaging.color import Color, in_color, in_eight_bits, rgba, with_alpha
from image_processor.imaging.files import Files
from image_processor.imaging.params import FileId, Side, hint
from image_processor.imaging.picture import Picture

MAX_FILES = 200


class AnimateParams(Params):
    others: Annotated[list[FileId], Field(min_length=1, max_length=MAX_FILES)] = Field(
        description="The ids of the stored images that follow the source, in order.",
        examples=[[2, 3]],
        json_schema_extra=hint(widget="files"),
    )
    delay: int = Field(
        500,
        ge=10,
        le=60_000,
        description="How long each image is shown, in milliseconds.",
        examples=[800],
        json_schema_extra=hint(unit="ms"),
    )
    loop: int = Field(
        0,
        ge=0,
        le=65_535,
        description="How many times the animation plays; 0 means forever.",
        json_schema_extra=hint(advanced=True),
    )
    width: Side | None = Field(
        None, description="In pixels; by default, as the source.", examples=[240], json_schema_extra=hint(unit="px")
    )
    height: Side | None = Field(
        None, description="In pixels; by default, as the source.", examples=[180], json_schema_extra=hint(unit="px")
    )
    background: Color = Field(
        "#ffffff", description="The color around images of another shape and under transparent parts."
    )

    def file_ids(self) -> Sequence[int]:
        return self.others


@algorithm(category="composing")
def animate(picture: Picture, params: AnimateParams, files: Files) -> Picture:
    """Make an 8-bit animation from several images, the source first: WebP, or GIF if `output.format` is `gif`."""
    width, height = params.width or picture.width, params.height or picture.height
    images = chain([picture.first], map(files.image, params.others))
    frames = [_frame(image, width, height, params.background) for image in images]
    return Picture.of([_timed(frames[0], params.delay, len(frames), params.loop), *frames[1:]])


def _frame(image: pyvips.Image, width: int, height: int, background: str) -> pyvips.Image:
    colors = with_alpha(in_eight_bits(in_color(image)))
    small = colors.thumbnail_image(width, height=height, size="down", no_rotate=True)
    frame = placed(small, width, height, "center", background)
    if rgba(background)[3] == 255:
        frame = flattened(frame, background)
    return frame.copy_memory()  # so that the large image can be released


def _timed(frame: pyvips.Image, delay: int, count: int, loop: int) -> pyvips.Image:
    """Return the frame with the metadata of the animation, which libvips expects in the first frame."""
    timed = frame.copy()
    timed.set_type(pyvips.GValue.array_int_type, "delay", [delay] * count)
    timed.set_type(pyvips.GValue.gint_type, "loop", loop)
    return timed
