"""The options of decoding: the ``source`` of every algorithm."""

from pydantic import Field

from image_processor.imaging.params import Params, hint

DOTS_PER_INCH = {"pdf": 150, "svg": 96}
"""The default resolution of drawings; CSS defines 96 pixels per inch for SVG."""


class Source(Params):
    """How the source is read."""

    page: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="The page of a TIFF or PDF, the image of a HEIC, or the frame of a GIF or WebP, to read, counted "
        "from 1. Default: all frames of an animation, all pages of a TIFF if they have the same size, otherwise the "
        "first page; of a HEIC, the primary image.",
        examples=[2],
    )
    dpi: int | None = Field(
        default=None,
        ge=10,
        le=2400,
        description="The resolution, 10 to 2400 dots per inch, at which a PDF (default 150) or an SVG (default 96, "
        "its own size) is drawn. If the first step is `resize` or `thumbnail`, the image is drawn at the size of that "
        "step instead. Other formats ignore it.",
        examples=[300],
        json_schema_extra=hint(unit="dpi", advanced=True),
    )
    upright: bool = Field(
        default=True,
        description="Whether to turn the image upright by its EXIF orientation; otherwise it stays as stored, and the "
        "orientation is dropped.",
        json_schema_extra=hint(advanced=True),
    )
    frames: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="The maximum number of frames of an animation or a TIFF to read, from `page` or from the first.",
        examples=[1],
        json_schema_extra=hint(advanced=True),
    )
