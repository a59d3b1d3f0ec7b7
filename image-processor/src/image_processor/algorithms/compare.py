"""``compare``: ``{"file_id": 7}``"""

from collections.abc import Sequence

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.canvas import flattened
from image_processor.imaging.colour import in_colour, in_eight_bits
from image_processor.imaging.files import Files
from image_processor.imaging.luma import luma_of
from image_processor.imaging.output import Report
from image_processor.imaging.params import FileId
from image_processor.imaging.ssim import psnr, ssim


class CompareParams(Params):
    file_id: FileId = Field(
        description="The stored image that the source is compared with, of the same size.", examples=[2]
    )

    def file_ids(self) -> Sequence[int]:
        return [self.file_id]


class CompareReport(Report):
    """How alike two images are."""

    equal: bool = Field(description="Whether all pixels are equal, in 8 bits a band.")
    ssim: float = Field(description="Structural similarity of the luma, -1 to 1; 1: equal.")
    psnr: float | None = Field(
        description="Peak signal-to-noise ratio in decibels; missing where all pixels are equal."
    )


@algorithm
def compare(image: pyvips.Image, params: CompareParams, files: Files) -> CompareReport:
    """Compare the image with another one: SSIM and PSNR; transparent parts lie on white."""
    one, other = _opaque(image), _opaque(files.image(params.file_id))
    if (one.width, one.height) != (other.width, other.height):
        raise UnsuitableImageError(
            f"The image has {one.width} × {one.height} pixels and file {params.file_id} has {other.width} × "
            f"{other.height}: resize one of them first."
        )
    noise = psnr(one, other, 255)
    return CompareReport(equal=noise is None, ssim=round(ssim(luma_of(one), luma_of(other)), 6), psnr=noise)


def _opaque(image: pyvips.Image) -> pyvips.Image:
    return flattened(in_eight_bits(in_colour(image)), "#ffffff").copy_memory()
