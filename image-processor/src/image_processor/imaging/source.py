"""How a source is read: what ``source`` may say, for every algorithm."""

from pydantic import Field

from image_processor.imaging.params import Params

DOTS_PER_INCH = {"pdf": 150, "svg": 96}
"""Of the formats that are drawings, where nothing else is asked for; CSS has 96 pixels in an inch of an SVG."""


class Source(Params):
    """How the source is read."""

    page: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="One page of a TIFF or a PDF, or one frame of a GIF or WebP, counted from 1. Without it: all of an "
        "animation or of a TIFF whose pages have one size, else the first.",
        examples=[2],
    )
    dpi: int | None = Field(
        default=None,
        ge=10,
        le=2400,
        description="Dots per inch, 10 to 2400, at which a PDF (default 150) or an SVG (96: its own size) is drawn; "
        "`resize` and `thumbnail` as the first step draw it at the size that they make. Other formats have pixels.",
        examples=[300],
    )
