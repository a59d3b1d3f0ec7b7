"""``compare``: ``{"file_id": 7}``"""

from collections.abc import Sequence

import pyvips
from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.files import Files
from image_processor.imaging.output import Report
from image_processor.imaging.params import FileId
from image_processor.imaging.ssim import comparable, opaque, psnr, ssim


class CompareParams(Params):
    file_id: FileId = Field(
        description="The id of the stored image to compare with; it must have the same size.", examples=[2]
    )

    def file_ids(self) -> Sequence[int]:
        return [self.file_id]


class CompareReport(Report):
    """How similar two images are."""

    equal: bool = Field(description="Whether all pixels are equal, in 8 bits per band.")
    ssim: float = Field(description="Structural similarity of the luma, -1 to 1; 1 means equal.")
    psnr: float | None = Field(description="Peak signal-to-noise ratio in decibels; missing if all pixels are equal.")


@algorithm(category="analysis")
def compare(image: pyvips.Image, params: CompareParams, files: Files) -> CompareReport:
    """Compare the image with another image by SSIM and PSNR; transparent parts are put on white."""
    source, other = opaque(image).copy_memory(), opaque(files.image(params.file_id)).copy_memory()
    if (source.width, source.height) != (other.width, other.height):
        raise UnsuitableImageError(
            sentence(
                "The image has {width} × {height} pixels and file {file_id} has {other_width} × {other_height}:"
                " resize one of them first.",
                width=source.width,
                height=source.height,
                file_id=params.file_id,
                other_width=other.width,
                other_height=other.height,
            )
        )
    noise = psnr(source, other, 255)
    return CompareReport(equal=noise is None, ssim=round(ssim(comparable(source), comparable(other)), 6), psnr=noise)
