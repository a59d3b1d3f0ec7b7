"""``compare``: ``{"file_id": 7}``"""

from collections.abc import Sequence

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.files import Files
from image_processor.imaging.output import Report
from image_processor.imaging.params import FileId
from image_processor.imaging.ssim import comparable, opaque, psnr, ssim


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
    one, other = opaque(image).copy_memory(), opaque(files.image(params.file_id)).copy_memory()
    if (one.width, one.height) != (other.width, other.height):
        raise UnsuitableImageError(
            f"The image has {one.width} × {one.height} pixels and file {params.file_id} has {other.width} × "
            f"{other.height}: resize one of them first."
        )
    noise = psnr(one, other, 255)
    return CompareReport(equal=noise is None, ssim=round(ssim(comparable(one), comparable(other)), 6), psnr=noise)
