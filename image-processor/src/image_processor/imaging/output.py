"""The options of encoding: the ``output`` of every algorithm whose result is an image."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from service_kit.errors import RuleError
from service_kit.json_types import OPTIONAL
from service_kit.texts import sentence

from image_processor.imaging.color import Color
from image_processor.imaging.params import Params, hint, or_british

Quality = Annotated[int, Field(ge=1, le=100)]

ANIMATED = ("webp", "gif", "tiff")
"""The formats that hold several frames."""
STILL = ("jpeg", "png", "avif")
"""The formats that hold one frame."""
COMPARED = ("avif", "webp")
"""The formats that `auto` of a task compares."""

DEFAULT_QUALITY = {"jpeg": 85, "webp": 85, "avif": 65}
"""A photograph looks about the same in each format with these (SSIM 0.93 to 0.96)."""
DEFAULT_EFFORT = {"jpeg": 5, "png": 6, "webp": 5, "avif": 2, "gif": 7}
QUICKEST = 0
"""An internal effort for results that a client waits for: PNG is written quickly; other formats use their default.

A photograph of 512 pixels takes 16 ms instead of 52, and is 11 to 14 percent larger.
"""


class Output(Params):
    """How the result is encoded."""

    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif", "tiff"] = Field(
        default="source",
        description="`source`: the format of the source; if Pixmill cannot write it, PNG for an image with alpha or "
        "from a lossless file (BMP, ICO, PSD, SVG, PDF), else JPEG. `auto`: the smaller of AVIF and WebP; WebP for an "
        "animation. JPEG, PNG and AVIF hold only the first frame of an animation.",
        examples=["webp"],
    )
    quality: Quality | None = Field(
        default=None,
        description="1 to 100, for JPEG (default 85), WebP (85), AVIF (65) and the `palette` of PNG (100).",
        examples=[80],
    )
    effort: Annotated[int, Field(ge=1, le=9)] | None = Field(
        default=None,
        description="How much time to spend on a smaller file, 1 (fast) to 9 (small). Default: AVIF 2, JPEG and WebP "
        "5, PNG 6, GIF 7. Large images have a lower maximum: for a palette, 5 above one megapixel and 3 above six; "
        "for AVIF, 7 above a quarter of a megapixel, 6 above a half, 5 above one, 3 above two and 2 above six. With "
        "`max_bytes` or `min_ssim`, the image is encoded several times, so the maximum is lower: for AVIF, 4, or 3 "
        "above a quarter of a megapixel and 2 above one; for a palette, 7, or 5 above a quarter and 3 above two.",
        examples=[7],
        json_schema_extra=hint(advanced=True),
    )
    lossless: bool = Field(
        default=False,
        description="Whether WebP and AVIF keep every pixel exactly. PNG and TIFF are always lossless; with JPEG and "
        "GIF it is an error.",
    )
    progressive: bool = Field(
        default=False,
        description="Whether a coarse version of the whole image comes first in the file (JPEG, PNG and GIF).",
        json_schema_extra=hint(advanced=True),
    )
    subsampling: Literal["auto", "4:2:0", "4:4:4"] = Field(
        default="auto",
        description="The chroma subsampling of JPEG and AVIF; `auto` halves the chroma below quality 90.",
        json_schema_extra=hint(advanced=True),
    )
    palette: bool = Field(
        default=False,
        description="Whether a PNG has at most `colors` colors, which makes the file much smaller.",
        json_schema_extra=hint(advanced=True),
    )
    colors: int = Field(
        default=256,
        ge=2,
        le=256,
        validation_alias=or_british("colors"),
        description="The maximum number of colors of a GIF, of all its frames together, and of a PNG with `palette`. "
        "With 256, each frame of an animation may have 256.",
        json_schema_extra=hint(advanced=True),
    )
    metadata: Literal["keep", "copyright", "strip"] = Field(
        default="copyright",
        description="`keep`: all of EXIF, XMP and IPTC, including where a photograph was taken, but no embedded "
        "pictures, and nothing about a motion video or a gain map; `copyright`: only the EXIF tags Artist and "
        "Copyright, taken from IPTC or XMP if EXIF lacks them; `strip`: no metadata. A GIF has none of these; only "
        "JPEG and TIFF have IPTC.",
    )
    profile: Literal["keep", "srgb", "strip"] = Field(
        default="keep",
        description="`keep`: keep the ICC profile; `srgb`: convert the colors to sRGB and embed its profile; `strip`: "
        "convert them to sRGB without a profile. Colors described by gAMA, cHRM, cICP, nclx, the header of a BMP or "
        "the EXIF of a camera (Adobe RGB) get a small profile. A GIF, and a gray WebP or AVIF, cannot have a profile, "
        "so their colors are converted. CMYK from `to_colorspace` gets a compact profile (14 kB); other CMYK without "
        "a profile gets none.",
        json_schema_extra=hint(advanced=True),
    )
    background: Color = Field(
        default="#ffffff", description="The color behind transparent pixels if the format has no transparency (JPEG)."
    )
    max_bytes: int | None = Field(
        default=None,
        ge=1,
        le=2**40,
        description="The maximum size of the file. It gets the highest quality that fits; above two megapixels, "
        "perhaps a slightly lower quality.",
        json_schema_extra=hint(unit="B", advanced=True),
    )
    min_ssim: float | None = Field(
        default=None,
        ge=0.5,
        lt=1,
        description="The minimum SSIM with the image, 0.5 to 1 (Wang et al., 2004). The file gets the lowest quality "
        "that reaches it, at most `quality`; it is an error if no quality does. Above two megapixels, perhaps a "
        "slightly higher quality.",
        json_schema_extra=hint(advanced=True),
    )


_IIIF = ("iiif", "iiif3")


class Tiles(Params):
    """How the result is encoded as a pyramid of tiles in a ZIP."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"properties": {"layout": {"enum": ["dz", "zoomify", "google"]}}}, {"required": ["id"]}]
        }
    )

    layout: Literal["dz", "zoomify", "google", "iiif", "iiif3"] = Field(
        "dz", description="Deep Zoom, Zoomify, Google Maps, or IIIF Image API 2 or 3."
    )
    format: Literal["jpeg", "png", "webp"] = Field("jpeg", description="The format of the tiles.")
    quality: Quality = Field(85, description="The quality of JPEG and WebP tiles, 1 to 100.", examples=[75])
    tile_size: int = Field(
        254,
        ge=64,
        le=4096,
        description="The side of a tile, in pixels, without the overlap. Default: 254 for Deep Zoom, else 256.",
        json_schema_extra=hint(unit="px", advanced=True),
    )
    overlap: int = Field(
        1,
        ge=0,
        le=64,
        description="Pixels that adjacent tiles share (Deep Zoom).",
        json_schema_extra=hint(unit="px", advanced=True),
    )
    id: Annotated[Annotated[str, Field(pattern=r"^https?://[!-~]{1,500}$")] | None, OPTIONAL] = Field(
        None,
        description="Required for IIIF: the address of the folder that the tiles will be served from.",
    )

    @model_validator(mode="after")
    def _has_an_id(self) -> Self:
        if self.layout in _IIIF and self.id is None:
            raise RuleError(
                "iiif_id", sentence("IIIF needs `id`, the address of the folder that the tiles will be served from")
            )
        return self

    @model_validator(mode="after")
    def _sized_by_layout(self) -> Self:
        if "tile_size" not in self.model_fields_set and self.layout != "dz":
            self.tile_size = 256
        return self


class Report(BaseModel):
    """Base of the results of analyses, which are written as JSON."""
