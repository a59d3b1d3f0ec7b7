"""How a result is encoded: the ``output`` of every algorithm whose result is an image."""

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

DEFAULT_QUALITY = {"jpeg": 85, "webp": 85, "avif": 65}
"""A photograph looks about the same in each format with these (SSIM 0.93 to 0.96)."""
DEFAULT_EFFORT = {"jpeg": 5, "png": 6, "webp": 5, "avif": 2, "gif": 7}
QUICKEST = 0
"""An effort that no request names, for what somebody waits for: a quick PNG; other formats have their default.

A photograph of 512 pixels takes 16 ms instead of 52, and is 11 to 14 percent larger.
"""


class Output(Params):
    """How the result is encoded."""

    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif", "tiff"] = Field(
        default="source",
        description="`source`: as the source. If Pixmill only reads that format: PNG for an image with alpha or from a "
        "lossless file (BMP, ICO, PSD, SVG, PDF), else JPEG. `auto`: the smaller of AVIF and WebP; WebP for an "
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
        description="1 (fast) to 9 (small): how much time to spend on a smaller file. Default: AVIF 2, JPEG and WebP "
        "5, PNG 6, GIF 7. A palette is computed with at most 5 above a megapixel, and at most 3 above six; AVIF with "
        "at most 7 above a quarter of a megapixel, 6 above a half, 5 above one, 3 above two and 2 above six.",
        examples=[7],
        json_schema_extra=hint(advanced=True),
    )
    lossless: bool = Field(
        default=False,
        description="WebP and AVIF: keep every pixel. JPEG and GIF refuse it; PNG and TIFF are always lossless.",
    )
    progressive: bool = Field(
        default=False,
        description="JPEG, PNG and GIF: a coarse version of the whole image comes first.",
        json_schema_extra=hint(advanced=True),
    )
    subsampling: Literal["auto", "4:2:0", "4:4:4"] = Field(
        default="auto",
        description="Chroma of JPEG and AVIF; `auto` halves it below a quality of 90.",
        json_schema_extra=hint(advanced=True),
    )
    palette: bool = Field(
        default=False,
        description="PNG: at most `colors` colors, a much smaller file.",
        json_schema_extra=hint(advanced=True),
    )
    colors: int = Field(
        default=256,
        ge=2,
        le=256,
        validation_alias=or_british("colors"),
        description="Of GIF and of the `palette` of PNG, at most.",
        json_schema_extra=hint(advanced=True),
    )
    metadata: Literal["keep", "copyright", "strip"] = Field(
        default="copyright",
        description="`keep`: all of EXIF, XMP and IPTC, which include where a photograph was taken, but no pictures of "
        "the source, and nothing about a motion video or a gain map; `copyright`: only Artist and Copyright of EXIF, "
        "taken from IPTC or XMP where EXIF lacks them; `strip`: none. A GIF has none of them; only JPEG and TIFF have "
        "IPTC.",
    )
    profile: Literal["keep", "srgb", "strip"] = Field(
        default="keep",
        description="`keep`: the ICC profile stays; `srgb`: colors are converted to sRGB, with its profile; `strip`: "
        "converted, without a profile. Colors that gAMA, cHRM, cICP, nclx or the EXIF of a camera (Adobe RGB) describe "
        "get a small profile, except PQ and HLG. A GIF, and gray in WebP and AVIF, cannot have a profile and are "
        "converted. CMYK from `to_colorspace` gets a compact profile (14 kB); CMYK without a profile stays without.",
        json_schema_extra=hint(advanced=True),
    )
    background: Color = Field(
        default="#ffffff", description="Under transparent pixels where the format has none (JPEG)."
    )
    max_bytes: int | None = Field(
        default=None,
        ge=1,
        le=2**40,
        description="The size limit of the file: it has the highest quality that fits; above two megapixels, perhaps a "
        "little lower.",
        json_schema_extra=hint(unit="B", advanced=True),
    )
    min_ssim: float | None = Field(
        default=None,
        ge=0.5,
        lt=1,
        description="The least SSIM with the image, 0.5 to 1 (Wang et al., 2004): the file has the lowest quality that "
        "reaches it, at most `quality`; an error if no quality does. Above two megapixels, perhaps a little higher.",
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
    format: Literal["jpeg", "png", "webp"] = Field("jpeg", description="Of the tiles.")
    quality: Quality = Field(85, description="1 to 100, of JPEG and WebP tiles.", examples=[75])
    tile_size: int = Field(
        254,
        ge=64,
        le=4096,
        description="Pixels along the side of a tile, without the overlap. Default: 254 for Deep Zoom, else 256.",
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
