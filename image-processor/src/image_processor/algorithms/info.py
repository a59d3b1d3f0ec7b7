"""``info``"""

import pyvips
from pydantic import BaseModel, Field

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.output import Report
from image_processor.imaging.picture import PAGE_SIZES, frames_of


class PageSize(BaseModel):
    """The size of an upright page, in pixels."""

    width: int
    height: int


class InfoReport(Report):
    """Facts about the image."""

    format: str = Field(
        description="`jpeg`, `png`, `webp`, `gif`, `tiff`, `heif` (AVIF), `heic`, `jxl` (JPEG XL), `jp2` (JPEG 2000), "
        "`bmp`, `ico`, `psd`, `svg` or `pdf`."
    )
    width: int = Field(description="The width of a frame of the upright image, in pixels.")
    height: int
    frames: int
    pages: list[PageSize] | None = Field(
        None, description="The pages of a TIFF or a PDF (at the `dpi`) that has several; at most the first 1,000."
    )
    bands: int
    bits: int = Field(description="The bits per band.")
    color_space: str
    alpha: bool
    profile: bool = Field(description="Whether there is an ICC profile.")
    exif: bool
    xmp: bool
    iptc: bool
    delays: list[int] | None = Field(None, description="How long each frame is shown, in milliseconds.")
    loop: int | None = Field(None, description="How many times an animation plays; 0 means forever.")
    dots_per_inch: float


_BITS = {"uchar": 8, "char": 8, "ushort": 16, "short": 16, "uint": 32, "int": 32, "float": 32, "double": 64}


@algorithm(category="analysis", sequential=True, any_color_space=True)
def info(image: pyvips.Image, params: NoParams) -> InfoReport:  # noqa: ARG001 (an algorithm's signature)
    """Describe the image: format, size, frames, bands, color space and which metadata it has."""
    frames = frames_of(image)
    return InfoReport(
        format=str(image.get("vips-loader")).removesuffix("load"),
        width=image.width,
        height=image.height,
        frames=frames,
        pages=_pages(image),
        bands=image.bands,
        bits=_BITS.get(image.format, 64),
        color_space=image.interpretation.replace("grey", "gray"),
        alpha=bool(image.hasalpha()),
        profile=bool(image.get_typeof("icc-profile-data")),
        exif=bool(image.get_typeof("exif-data")),
        xmp=bool(image.get_typeof("xmp-data")),
        iptc=bool(image.get_typeof("iptc-data")),
        delays=list(image.get("delay")) if frames > 1 and image.get_typeof("delay") else None,
        loop=image.get("loop") if frames > 1 and image.get_typeof("loop") else None,
        dots_per_inch=round(image.xres * 25.4, 2),
    )


def _pages(image: pyvips.Image) -> list[PageSize] | None:
    if not image.get_typeof(PAGE_SIZES):
        return None
    sizes = [size.split("x") for size in str(image.get(PAGE_SIZES)).split()]
    return [PageSize(width=int(width), height=int(height)) for width, height in sizes]
