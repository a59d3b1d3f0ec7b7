"""``optimize``: ``{"min_ssim": 0.98}`` or ``{"max_bytes": 100000}``"""

from typing import Annotated, Literal

from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.output import Output
from image_processor.imaging.params import hint

DEFAULT_SSIM = 0.98


class OptimizeParams(Params):
    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif"] = Field(
        "source",
        description="`auto`: the smaller of AVIF and WebP. A PNG gets a palette with 8 bits per band, even if the "
        "source has 16; `convert` keeps all 16.",
        examples=["webp"],
    )
    min_ssim: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        None,
        description="The minimum SSIM with the image, 0.5 to 1. Default without `max_bytes`: 0.98; for `gif`, the "
        "best possible.",
        examples=[0.97],
    )
    max_bytes: Annotated[int, Field(ge=1, le=2**40)] | None = Field(
        None, description="The maximum size of the file.", json_schema_extra=hint(unit="B")
    )
    metadata: Literal["keep", "copyright", "strip"] = Field("copyright", description="As in `output`.")


@algorithm(category="encoding", sequential=True, any_color_space=True)
def optimize(params: OptimizeParams) -> Output:
    """Find the smallest file that still looks the same, or the best file within a size limit."""
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
