"""``lut``: ``{"file_id": 7}``, a `.cube` file"""

from collections.abc import Sequence

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.color import in_color, maximum
from image_processor.imaging.cube import read_cube
from image_processor.imaging.files import Files
from image_processor.imaging.params import FileId, hint

MAX_BYTES = 16 * 1024 * 1024


class LutParams(Params):
    file_id: FileId = Field(
        description="The id of the stored `.cube` file (Adobe Cube LUT 1.0), 1D or 3D.", examples=[2]
    )
    amount: float = Field(
        100.0, ge=0, le=100, description="In percent, 0 (unchanged) to 100.", json_schema_extra=hint(unit="%")
    )

    def file_ids(self) -> Sequence[int]:
        return [self.file_id]


@algorithm(category="color", sequential=True)
def lut(image: pyvips.Image, params: LutParams, files: Files) -> pyvips.Image:
    """Grade the colors with a look-up table (LUT), such as film and video editors export."""
    cube = read_cube(files.text(params.file_id, MAX_BYTES))
    share = params.amount / 100

    def graded(colors: pyvips.Image) -> pyvips.Image:
        values = colors / maximum(colors)
        made = cube.apply(values)
        return (made if share == 1 else made * share + values * (1 - share)) * maximum(colors)

    image = in_color(image)
    return on_colors(image, graded).copy(interpretation=image.interpretation)
