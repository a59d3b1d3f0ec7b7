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
        description="A page of a TIFF or a PDF, or a frame of a GIF or WebP, counted from 1. Without it: all frames of "
        "an animation, all pages of a TIFF if they have the same size, else the first page.",
        examples=[2],
    )
    dpi: int | None = Field(
        default=None,
        ge=10,
        le=2400,
        description="Dots per inch, 10 to 2400, at which a PDF (default 150) or an SVG (96: its own size) is drawn. "
        "`resize` and `thumbnail` as the first step draw it at their size instead. Other formats ignore it.",
        examples=[300],
        json_schema_extra=hint(unit="dpi", advanced=True),
    )
    upright: bool = Field(
        default=True,
        description="Whether the image is turned as its EXIF orientation says; otherwise it stays as it is stored, and "
        "the orientation is dropped.",
        json_schema_extra=hint(advanced=True),
    )
    frames: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Of an animation or a TIFF, at most this many frames, from `page` or from the first.",
        examples=[1],
        json_schema_extra=hint(advanced=True),
    )
