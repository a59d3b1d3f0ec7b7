"""``optimize``: ``{"min_ssim": 0.98}`` or ``{"max_bytes": 100000}``"""

from typing import Annotated, Literal

from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.output import Output

DEFAULT_SSIM = 0.98


class OptimizeParams(Params):
    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif"] = Field(
        "source",
        description="`auto`: the smallest of AVIF and WebP. A PNG gets a palette, whose colors have 8 bits a band also "
        "where the source has 16: `convert` keeps all of them.",
        examples=["webp"],
    )
    min_ssim: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        None,
        description="SSIM with the image, 0.5 to 1; without it and `max_bytes`, 0.98 (as `gif`: the best it can be).",
        examples=[0.97],
    )
    max_bytes: Annotated[int, Field(ge=1, le=2**40)] | None = Field(None, description="Bytes the file may have.")
    metadata: Literal["keep", "copyright", "strip"] = Field("copyright", description="As in `output`.")


@algorithm(sequential=True, any_colour_space=True)
def optimize(params: OptimizeParams) -> Output:
    """Search for the smallest file that still looks the same, or for the best one under a size."""
    wanted = params.min_ssim
    if wanted is None and params.max_bytes is None and params.format != "gif":
        wanted = DEFAULT_SSIM
    return Output(
        format=params.format,
        min_ssim=wanted,
        max_bytes=params.max_bytes,
        metadata=params.metadata,
        effort=7 if params.format in ("jpeg", "png", "gif") else None,
    )
