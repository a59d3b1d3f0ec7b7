"""The algorithms of this version. ``make docs`` generates this file from their registry: do not edit it.

A parameter that is ``None`` is not sent, and the server's default counts. Steps are joined with ``|``:

>>> steps = Resize(width=800) | Watermark(text="© me")

Colors are written as in CSS. The page ``docs/algorithms.md`` shows what each algorithm does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pixmill.steps import Custom, Pipeline, Step, Value

__all__ = [
    "Animate",
    "Area",
    "AutoOrient",
    "Blur",
    "BlurAreas",
    "BlurFaces",
    "Blurhash",
    "Border",
    "Brightness",
    "Channels",
    "Colorize",
    "Compare",
    "Contrast",
    "Convert",
    "Convolve",
    "Crop",
    "CropFaces",
    "CurvePoint",
    "Curves",
    "Custom",
    "Denoise",
    "DominantColors",
    "Duotone",
    "Edges",
    "Emboss",
    "Equalize",
    "Exif",
    "Extend",
    "FileMark",
    "Flatten",
    "Flip",
    "FocalPoint",
    "Gamma",
    "Gradient",
    "Grayscale",
    "Histogram",
    "Hue",
    "Info",
    "Invert",
    "Levels",
    "Lut",
    "Monochrome",
    "Montage",
    "Noise",
    "Optimize",
    "Output",
    "Overlay",
    "Pad",
    "Perspective",
    "Phash",
    "Pipeline",
    "Pixelate",
    "Point",
    "Posterize",
    "ProgressiveBlur",
    "Resize",
    "Rotate",
    "RoundCorners",
    "Saturation",
    "Sepia",
    "Sharpen",
    "Source",
    "Stamp",
    "StripMetadata",
    "TextMark",
    "Threshold",
    "Thumbnail",
    "Tile",
    "Tint",
    "ToColorspace",
    "Trim",
    "Upscale",
    "Vignette",
    "Watermark",
    "WhiteBalance",
]


@dataclass(frozen=True, kw_only=True)
class Output(Value):
    """How the result is encoded."""

    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif", "tiff"] | None = None
    """``source``: the format of the source; if Pixmill cannot write it, PNG for an image with alpha or from a
    lossless file (BMP, ICO, PSD, SVG, PDF), else JPEG. ``auto``: the smaller of AVIF and WebP; WebP for an
    animation. JPEG, PNG and AVIF hold only the first frame of an animation. (default: source)
    """
    quality: int | None = None
    """1 to 100, for JPEG (default 85), WebP (85), AVIF (65) and the ``palette`` of PNG (100)."""
    effort: int | None = None
    """How much time to spend on a smaller file, 1 (fast) to 9 (small). Default: AVIF 2, JPEG and WebP 5, PNG 6, GIF
    7. Large images have a lower maximum: for a palette, 5 above one megapixel and 3 above six; for AVIF, 7 above a
    quarter of a megapixel, 6 above a half, 5 above one, 3 above two and 2 above six. With ``max_bytes`` or
    ``min_ssim``, the image is encoded several times, so the maximum is lower: for AVIF, 4, or 3 above a quarter of
    a megapixel and 2 above one; for a palette, 7, or 5 above a quarter and 3 above two.
    """
    lossless: bool | None = None
    """Whether WebP and AVIF keep every pixel exactly. PNG and TIFF are always lossless; with JPEG and GIF it is an
    error.
    """
    progressive: bool | None = None
    """Whether a coarse version of the whole image comes first in the file (JPEG, PNG and GIF)."""
    subsampling: Literal["auto", "4:2:0", "4:4:4"] | None = None
    """The chroma subsampling of JPEG and AVIF; ``auto`` halves the chroma below quality 90. (default: auto)"""
    palette: bool | None = None
    """Whether a PNG has at most ``colors`` colors, which makes the file much smaller."""
    colors: int | None = None
    """The maximum number of colors of a GIF, of all its frames together, and of a PNG with ``palette``. With 256,
    each frame of an animation may have 256. (default: 256)
    """
    metadata: Literal["keep", "copyright", "strip"] | None = None
    """``keep``: all of EXIF, XMP and IPTC, including where a photograph was taken, but no embedded pictures, and
    nothing about a motion video or a gain map; ``copyright``: only the EXIF tags Artist and Copyright, taken from
    IPTC or XMP if EXIF lacks them; ``strip``: no metadata. A GIF has none of these; only JPEG and TIFF have IPTC.
    (default: copyright)
    """
    profile: Literal["keep", "srgb", "strip"] | None = None
    """``keep``: keep the ICC profile; ``srgb``: convert the colors to sRGB and embed its profile; ``strip``:
    convert them to sRGB without a profile. Colors described by gAMA, cHRM, cICP, nclx, the header of a BMP or the
    EXIF of a camera (Adobe RGB) get a small profile. A GIF, and a gray WebP or AVIF, cannot have a profile, so
    their colors are converted. CMYK from ``to_colorspace`` gets a compact profile (14 kB); other CMYK without a
    profile gets none. (default: keep)
    """
    background: str | None = None
    """The color behind transparent pixels if the format has no transparency (JPEG). (default: #ffffff)"""
    max_bytes: int | None = None
    """The maximum size of the file. It gets the highest quality that fits; above two megapixels, perhaps a slightly
    lower quality.
    """
    min_ssim: float | None = None
    """The minimum SSIM with the image, 0.5 to 1 (Wang et al., 2004). The file gets the lowest quality that reaches
    it, at most ``quality``; it is an error if no quality does. Above two megapixels, perhaps a slightly higher
    quality.
    """


@dataclass(frozen=True, kw_only=True)
class Source(Value):
    """How the source is read."""

    page: int | None = None
    """The page of a TIFF or PDF, the image of a HEIC, or the frame of a GIF or WebP, to read, counted from 1.
    Default: all frames of an animation, all pages of a TIFF if they have the same size, otherwise the first page;
    of a HEIC, the primary image.
    """
    dpi: int | None = None
    """The resolution, 10 to 2400 dots per inch, at which a PDF (default 150) or an SVG (default 96, its own size)
    is drawn. If the first step is ``resize`` or ``thumbnail``, the image is drawn at the size of that step instead.
    Other formats ignore it.
    """
    upright: bool | None = None
    """Whether to turn the image upright by its EXIF orientation; otherwise it stays as stored, and the orientation
    is dropped. (default: true)
    """
    frames: int | None = None
    """The maximum number of frames of an animation or a TIFF to read, from ``page`` or from the first."""


@dataclass(frozen=True, kw_only=True)
class Animate(Step):
    """Make an 8-bit animation from several images, the source first: WebP, or GIF if ``output.format`` is ``gif``."""

    algorithm: ClassVar[str] = "animate"

    others: Sequence[int]
    """The ids of the stored images that follow the source, in order."""
    delay: int | None = None
    """How long each image is shown, in milliseconds. (default: 500)"""
    loop: int | None = None
    """How many times the animation plays; 0 means forever. (default: 0)"""
    width: int | None = None
    """In pixels; by default, as the source."""
    height: int | None = None
    """In pixels; by default, as the source."""
    background: str | None = None
    """The color around images of another shape and under transparent parts. (default: #ffffff)"""


@dataclass(frozen=True, kw_only=True)
class AutoOrient(Step):
    """Turn the image upright by its EXIF orientation. Every algorithm does this first; this one does nothing else."""

    algorithm: ClassVar[str] = "auto_orient"


@dataclass(frozen=True, kw_only=True)
class Blur(Step):
    """Blur the image."""

    algorithm: ClassVar[str] = "blur"

    method: Literal["gaussian", "box", "motion"] | None = None
    """The shape of the blur: ``gaussian`` is soft, ``box`` is a square, ``motion`` is a line. (default: gaussian)
    """
    radius: float | None = None
    """In pixels: the standard deviation of the Gaussian, half the side of the box, or half the length of the
    motion. (default: 2.0)
    """
    angle: float | None = None
    """The direction of the motion, in degrees clockwise from the horizontal. (default: 0.0)"""


@dataclass(frozen=True, kw_only=True)
class Area(Value):
    """A part of the image, as fractions of its sides."""

    left: float
    """0 is the left edge."""
    top: float
    """0 is the upper edge."""
    width: float
    """1 is the whole width."""
    height: float
    """1 is the whole height."""


@dataclass(frozen=True, kw_only=True)
class BlurAreas(Step):
    """Blur parts of an image, such as a license plate; pixels outside a part do not bleed into it."""

    algorithm: ClassVar[str] = "blur_areas"

    areas: Sequence[Area]
    """The parts to blur."""
    radius: float | None = None
    """The standard deviation of the Gaussian, in pixels. (default: 10.0)"""


@dataclass(frozen=True, kw_only=True)
class BlurFaces(Step):
    """Hide every face that is found; an image without faces stays as it is."""

    algorithm: ClassVar[str] = "blur_faces"

    method: Literal["blur", "pixelate"] | None = None
    """How faces are hidden. (default: blur)"""
    strength: float | None = None
    """How strongly faces are hidden, in percent; the blur or the blocks grow with the face. (default: 50.0)"""
    padding: float | None = None
    """The margin around the face, in percent of its size. (default: 15.0)"""


@dataclass(frozen=True, kw_only=True)
class Blurhash(Step):
    """Make a short text from which a page draws a placeholder until the image is loaded (BlurHash, by Wolt)."""

    algorithm: ClassVar[str] = "blurhash"
    gives_image: ClassVar[bool] = False

    x: int | None = None
    """The number of waves from left to right. (default: 4)"""
    y: int | None = None
    """The number of waves from top to bottom. (default: 3)"""


@dataclass(frozen=True, kw_only=True)
class Border(Step):
    """Add a frame of one color around the image; the image becomes larger."""

    algorithm: ClassVar[str] = "border"

    width: int | None = None
    """The width of the border on each side, in pixels. (default: 10)"""
    color: str | None = None
    """The color of the border. (default: #000000)"""


@dataclass(frozen=True, kw_only=True)
class Brightness(Step):
    """Make the image brighter or darker by the same amount everywhere."""

    algorithm: ClassVar[str] = "brightness"

    amount: float
    """How much to add, in percent of white, -100 to 100."""


@dataclass(frozen=True, kw_only=True)
class Channels(Step):
    """Make red, green and blue brighter or darker, each by its own amount."""

    algorithm: ClassVar[str] = "channels"

    red: float | None = None
    """How much to add to red, in percent of white, -100 to 100. (default: 0)"""
    green: float | None = None
    """How much to add to green, in percent of white, -100 to 100. (default: 0)"""
    blue: float | None = None
    """How much to add to blue, in percent of white, -100 to 100. (default: 0)"""


@dataclass(frozen=True, kw_only=True)
class Colorize(Step):
    """Mix a color into every pixel; alpha is unchanged."""

    algorithm: ClassVar[str] = "colorize"

    color: str | None = None
    """The color to mix in. (default: #000000)"""
    amount: float | None = None
    """The share of the color, in percent, 0 (unchanged) to 100. (default: 50.0)"""
    red: float | None = None
    """The share for red, in percent, instead of ``amount``."""
    green: float | None = None
    """The share for green, in percent, instead of ``amount``."""
    blue: float | None = None
    """The share for blue, in percent, instead of ``amount``."""


@dataclass(frozen=True, kw_only=True)
class Compare(Step):
    """Compare the image with another image by SSIM and PSNR; transparent parts are put on white."""

    algorithm: ClassVar[str] = "compare"
    gives_image: ClassVar[bool] = False

    file_id: int
    """The id of the stored image to compare with; it must have the same size."""


@dataclass(frozen=True, kw_only=True)
class Contrast(Step):
    """Move tones away from middle gray, or towards it."""

    algorithm: ClassVar[str] = "contrast"

    amount: float
    """In percent, -100 (all gray) to 100 (twice as far from middle gray)."""


@dataclass(frozen=True, kw_only=True)
class Convert(Step):
    """Only encode the image: format, quality, metadata, profile. Other algorithms take the same params in
    ``output``.
    """

    algorithm: ClassVar[str] = "convert"

    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif", "tiff"] | None = None
    """``source``: the format of the source; if Pixmill cannot write it, PNG for an image with alpha or from a
    lossless file (BMP, ICO, PSD, SVG, PDF), else JPEG. ``auto``: the smaller of AVIF and WebP; WebP for an
    animation. JPEG, PNG and AVIF hold only the first frame of an animation. (default: source)
    """
    quality: int | None = None
    """1 to 100, for JPEG (default 85), WebP (85), AVIF (65) and the ``palette`` of PNG (100)."""
    effort: int | None = None
    """How much time to spend on a smaller file, 1 (fast) to 9 (small). Default: AVIF 2, JPEG and WebP 5, PNG 6, GIF
    7. Large images have a lower maximum: for a palette, 5 above one megapixel and 3 above six; for AVIF, 7 above a
    quarter of a megapixel, 6 above a half, 5 above one, 3 above two and 2 above six. With ``max_bytes`` or
    ``min_ssim``, the image is encoded several times, so the maximum is lower: for AVIF, 4, or 3 above a quarter of
    a megapixel and 2 above one; for a palette, 7, or 5 above a quarter and 3 above two.
    """
    lossless: bool | None = None
    """Whether WebP and AVIF keep every pixel exactly. PNG and TIFF are always lossless; with JPEG and GIF it is an
    error.
    """
    progressive: bool | None = None
    """Whether a coarse version of the whole image comes first in the file (JPEG, PNG and GIF)."""
    subsampling: Literal["auto", "4:2:0", "4:4:4"] | None = None
    """The chroma subsampling of JPEG and AVIF; ``auto`` halves the chroma below quality 90. (default: auto)"""
    palette: bool | None = None
    """Whether a PNG has at most ``colors`` colors, which makes the file much smaller."""
    colors: int | None = None
    """The maximum number of colors of a GIF, of all its frames together, and of a PNG with ``palette``. With 256,
    each frame of an animation may have 256. (default: 256)
    """
    metadata: Literal["keep", "copyright", "strip"] | None = None
    """``keep``: all of EXIF, XMP and IPTC, including where a photograph was taken, but no embedded pictures, and
    nothing about a motion video or a gain map; ``copyright``: only the EXIF tags Artist and Copyright, taken from
    IPTC or XMP if EXIF lacks them; ``strip``: no metadata. A GIF has none of these; only JPEG and TIFF have IPTC.
    (default: copyright)
    """
    profile: Literal["keep", "srgb", "strip"] | None = None
    """``keep``: keep the ICC profile; ``srgb``: convert the colors to sRGB and embed its profile; ``strip``:
    convert them to sRGB without a profile. Colors described by gAMA, cHRM, cICP, nclx, the header of a BMP or the
    EXIF of a camera (Adobe RGB) get a small profile. A GIF, and a gray WebP or AVIF, cannot have a profile, so
    their colors are converted. CMYK from ``to_colorspace`` gets a compact profile (14 kB); other CMYK without a
    profile gets none. (default: keep)
    """
    background: str | None = None
    """The color behind transparent pixels if the format has no transparency (JPEG). (default: #ffffff)"""
    max_bytes: int | None = None
    """The maximum size of the file. It gets the highest quality that fits; above two megapixels, perhaps a slightly
    lower quality.
    """
    min_ssim: float | None = None
    """The minimum SSIM with the image, 0.5 to 1 (Wang et al., 2004). The file gets the lowest quality that reaches
    it, at most ``quality``; it is an error if no quality does. Above two megapixels, perhaps a slightly higher
    quality.
    """


@dataclass(frozen=True, kw_only=True)
class Convolve(Step):
    """Make each pixel the weighted sum of its neighbors; alpha is unchanged."""

    algorithm: ClassVar[str] = "convolve"

    kernel: Sequence[float]
    """The weights of 3 × 3, 5 × 5 or 7 × 7 pixels, row by row."""
    normalize: bool | None = None
    """Whether to divide the result by the sum of the weights. (default: true)"""
    offset: float | None = None
    """The value to add at the end, -255 to 255. (default: 0.0)"""


@dataclass(frozen=True, kw_only=True)
class FocalPoint(Value):
    """The point of the image to keep, as fractions of its width and height."""

    x: float
    """0 is the left edge, 1 the right edge."""
    y: float
    """0 is the upper edge, 1 the lower edge."""


@dataclass(frozen=True, kw_only=True)
class Crop(Step):
    """Keep a part of the image, chosen by its position, by a side or corner, or by what draws the eye."""

    algorithm: ClassVar[str] = "crop"

    width: float | None = None
    """The width of the part; by default, the width of the image."""
    height: float | None = None
    """The height of the part; by default, the height of the image."""
    unit: Literal["px", "percent"] | None = None
    """The unit of ``width``, ``height``, ``left`` and ``top``: pixels, or percent of the image. (default: px)"""
    left: float | None = None
    """The left edge of the part; by default, ``gravity`` decides."""
    top: float | None = None
    """The upper edge of the part; by default, ``gravity`` decides."""
    aspect_ratio: float | None = None
    """Width divided by height; the result is the largest part of this ratio within ``width`` and ``height``."""
    gravity: (
        Literal[
            "center",
            "north",
            "northeast",
            "east",
            "southeast",
            "south",
            "southwest",
            "west",
            "northwest",
            "attention",
            "entropy",
        ]
        | None
    ) = None
    """Which part to keep if ``left`` or ``top`` is missing. (default: center)"""
    focal: FocalPoint | None = None
    """The point to keep in the middle; overrides ``gravity``."""


@dataclass(frozen=True, kw_only=True)
class CropFaces(Step):
    """Crop the image to the faces in it; an image without faces is an error."""

    algorithm: ClassVar[str] = "crop_faces"

    faces: Literal["largest", "all"] | None = None
    """Which faces to keep. (default: all)"""
    padding: float | None = None
    """The margin around the faces, in percent of their size. (default: 40.0)"""
    aspect_ratio: float | None = None
    """Width divided by height, as far as the image allows."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint(Value):
    """Values."""

    input: float
    """"""
    output: float
    """"""


@dataclass(frozen=True, kw_only=True)
class Curves(Step):
    """Change the tones with a smooth curve through points, for all bands together or for each band."""

    algorithm: ClassVar[str] = "curves"

    all: Sequence[CurvePoint] | None = None
    """Points of the curve of all bands, 0 to 255; if two have the same input, the last one counts."""
    red: Sequence[CurvePoint] | None = None
    """The curve of red, applied after ``all``."""
    green: Sequence[CurvePoint] | None = None
    """The curve of green, applied after ``all``."""
    blue: Sequence[CurvePoint] | None = None
    """The curve of blue, applied after ``all``."""


@dataclass(frozen=True, kw_only=True)
class Denoise(Step):
    """Remove noise and keep edges; alpha is unchanged."""

    algorithm: ClassVar[str] = "denoise"

    method: Literal["median", "bilateral", "non_local_means"] | None = None
    """``median`` removes single wrong pixels; ``bilateral`` smooths areas and keeps edges; ``non_local_means`` is
    the best and the slowest. (default: bilateral)
    """
    strength: float | None = None
    """1 to 100: how large a difference counts as noise. (default: 30.0)"""


@dataclass(frozen=True, kw_only=True)
class DominantColors(Step):
    """Find the few colors that represent the image (k-means in CIELAB); transparent pixels are ignored."""

    algorithm: ClassVar[str] = "dominant_colors"
    gives_image: ClassVar[bool] = False

    count: int | None = None
    """The maximum number of colors. (default: 5)"""


@dataclass(frozen=True, kw_only=True)
class Duotone(Step):
    """Map the luma to a range from one color to another."""

    algorithm: ClassVar[str] = "duotone"

    shadows: str | None = None
    """The color that black becomes. (default: #192550)"""
    highlights: str | None = None
    """The color that white becomes. (default: #f05e40)"""


@dataclass(frozen=True, kw_only=True)
class Edges(Step):
    """Find edges: white on black; alpha is unchanged."""

    algorithm: ClassVar[str] = "edges"

    method: Literal["sobel", "canny"] | None = None
    """``sobel``: the gradient of every pixel; ``canny``: thin lines (found in 8 bits). (default: sobel)"""
    low: float | None = None
    """Canny: the gradient at which a line may continue. (default: 100.0)"""
    high: float | None = None
    """Canny: the gradient at which a line begins. (default: 200.0)"""


@dataclass(frozen=True, kw_only=True)
class Emboss(Step):
    """Turn the image into a gray relief, lit from the upper left; alpha is unchanged."""

    algorithm: ClassVar[str] = "emboss"

    amount: float | None = None
    """The depth of the relief, in percent. (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Equalize(Step):
    """Spread the lightness evenly, so that detail is visible everywhere; hues stay, and invisible pixels are
    ignored.
    """

    algorithm: ClassVar[str] = "equalize"

    method: Literal["global", "clahe"] | None = None
    """``global``: over the whole image; ``clahe``: around each pixel, with limited contrast, in 256 steps.
    (default: global)
    """
    window: int | None = None
    """CLAHE: the side of the area around each pixel, in pixels. (default: 64)"""
    max_slope: int | None = None
    """CLAHE: the maximum factor by which contrast may grow. (default: 3)"""


@dataclass(frozen=True, kw_only=True)
class Exif(Step):
    """Read the EXIF tags (CIPA DC-008), except the orientation, which is already applied."""

    algorithm: ClassVar[str] = "exif"
    gives_image: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class Extend(Step):
    """Put the image on a larger canvas of a given size or aspect ratio; nothing is cut off."""

    algorithm: ClassVar[str] = "extend"

    width: int | None = None
    """The minimum width, in pixels; by default, the width of the image."""
    height: int | None = None
    """The minimum height, in pixels; by default, the height of the image."""
    aspect_ratio: float | None = None
    """Width divided by height of the result; the canvas grows as needed."""
    gravity: (
        Literal["center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"] | None
    ) = None
    """The position of the image. (default: center)"""
    mode: Literal["background", "copy", "mirror", "repeat", "blur", "average"] | None = None
    """What surrounds the image: a color, its edge pixels, the average of its colors, or the image itself mirrored,
    repeated, or enlarged and blurred. (default: background)
    """
    background: str | None = None
    """The color of the mode ``background``; transparent by default. (default: #ffffff00)"""


@dataclass(frozen=True, kw_only=True)
class Flatten(Step):
    """Put a color behind the transparent parts of an image; an opaque image stays as it is."""

    algorithm: ClassVar[str] = "flatten"

    background: str | None = None
    """The color behind the image; if this color is transparent, the result is too. (default: #ffffff)"""


@dataclass(frozen=True, kw_only=True)
class Flip(Step):
    """Mirror the image left to right, or top to bottom."""

    algorithm: ClassVar[str] = "flip"

    direction: Literal["horizontal", "vertical"] | None = None
    """``horizontal``: left becomes right; ``vertical``: top becomes bottom. (default: horizontal)"""


@dataclass(frozen=True, kw_only=True)
class Gamma(Step):
    """Brighten or darken the middle tones; black and white are unchanged."""

    algorithm: ClassVar[str] = "gamma"

    gamma: float
    """0.1 to 10: above 1 makes dark tones brighter, below 1 darker."""


@dataclass(frozen=True, kw_only=True)
class Gradient(Step):
    """Lay a color over the image that becomes more opaque in one direction, so that text on it is readable."""

    algorithm: ClassVar[str] = "gradient"

    color: str | None = None
    """The color to lay over the image. (default: #000000)"""
    amount: float | None = None
    """The opacity of the color at its end, in percent. (default: 100.0)"""
    direction: float | None = None
    """The direction in which it grows, in degrees clockwise: 0 is down, 90 is left. (default: 0.0)"""
    start: float | None = None
    """Where the color begins, in percent of the way. (default: 0.0)"""
    stop: float | None = None
    """Where the color reaches ``amount``, in percent of the way. (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Grayscale(Step):
    """Remove the colors: each pixel becomes its luma (ITU-R BT.601)."""

    algorithm: ClassVar[str] = "grayscale"


@dataclass(frozen=True, kw_only=True)
class Histogram(Step):
    """Count the tones of red, green, blue and luma in 8 bits; invisible pixels are ignored."""

    algorithm: ClassVar[str] = "histogram"
    gives_image: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class Hue(Step):
    """Move all colors around the color wheel, as CSS's hue-rotate() does (Filter Effects 1, 9.6); gray is
    unchanged.
    """

    algorithm: ClassVar[str] = "hue"

    degrees: float
    """The angle by which colors move around the color wheel."""


@dataclass(frozen=True, kw_only=True)
class Info(Step):
    """Describe the image: format, size, frames, bands, color space and which metadata it has."""

    algorithm: ClassVar[str] = "info"
    gives_image: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class Invert(Step):
    """Make a negative: black becomes white; alpha is unchanged."""

    algorithm: ClassVar[str] = "invert"


@dataclass(frozen=True, kw_only=True)
class Levels(Step):
    """Stretch the tones between two levels to the whole range."""

    algorithm: ClassVar[str] = "levels"

    black: float | None = None
    """The tone that becomes black, 0 to 255. (default: 0)"""
    white: float | None = None
    """The tone that becomes white, 0 to 255; at or below ``black``, only black and white remain. (default: 255)"""
    gamma: float | None = None
    """The gamma of the tones in between; above 1 makes them brighter. (default: 1.0)"""
    output_black: float | None = None
    """The tone that black becomes at the end. (default: 0)"""
    output_white: float | None = None
    """The tone that white becomes at the end. (default: 255)"""


@dataclass(frozen=True, kw_only=True)
class Lut(Step):
    """Grade the colors with a look-up table (LUT), such as film and video editors export."""

    algorithm: ClassVar[str] = "lut"

    file_id: int
    """The id of the stored ``.cube`` file (Adobe Cube LUT 1.0), 1D or 3D."""
    amount: float | None = None
    """In percent, 0 (unchanged) to 100. (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Monochrome(Step):
    """Replace the colors with shades of one color: each pixel is its luma times the color."""

    algorithm: ClassVar[str] = "monochrome"

    color: str | None = None
    """The color of which light and dark shades are made. (default: #b3b3b3)"""
    amount: float | None = None
    """In percent, 0 (unchanged) to 100 (only shades of the color). (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Montage(Step):
    """Put several images on one 8-bit contact sheet, the source first."""

    algorithm: ClassVar[str] = "montage"

    others: Sequence[int]
    """The ids of the stored images that follow the source, in order."""
    columns: int | None = None
    """The number of images in a row; 0: about as many columns as rows. (default: 0)"""
    width: int | None = None
    """The width of a cell, in pixels. (default: 200)"""
    height: int | None = None
    """The height of a cell, in pixels. (default: 200)"""
    fit: Literal["contain", "cover"] | None = None
    """``contain`` shows the whole image, ``cover`` fills the cell. (default: contain)"""
    gap: int | None = None
    """The space between and around cells, in pixels. (default: 8)"""
    background: str | None = None
    """The color around the images. (default: #ffffff)"""


@dataclass(frozen=True, kw_only=True)
class Noise(Step):
    """Add Gaussian noise."""

    algorithm: ClassVar[str] = "noise"

    amount: float | None = None
    """The standard deviation, in percent of white. (default: 10.0)"""
    seed: int | None = None
    """The same seed gives the same noise. (default: 0)"""
    monochrome: bool | None = None
    """Gray noise, like the grain of film, instead of colored noise."""


@dataclass(frozen=True, kw_only=True)
class Optimize(Step):
    """Find the smallest file that still looks the same, or the best file within a size limit."""

    algorithm: ClassVar[str] = "optimize"

    format: Literal["source", "auto", "jpeg", "png", "webp", "avif", "gif"] | None = None
    """``auto``: the smaller of AVIF and WebP. A PNG gets a palette with 8 bits per band, even if the source has 16;
    ``convert`` keeps all 16. (default: source)
    """
    min_ssim: float | None = None
    """The minimum SSIM with the image, 0.5 to 1. Default without ``max_bytes``: 0.98; for ``gif``, the best
    possible.
    """
    max_bytes: int | None = None
    """The maximum size of the file."""
    metadata: Literal["keep", "copyright", "strip"] | None = None
    """As in ``output``. (default: copyright)"""


@dataclass(frozen=True, kw_only=True)
class Overlay(Step):
    """Put another image on this one, with a blend mode."""

    algorithm: ClassVar[str] = "overlay"

    file_id: int
    """The id of the stored image to put on the source."""
    blend: (
        Literal[
            "normal",
            "multiply",
            "screen",
            "overlay",
            "darken",
            "lighten",
            "color-dodge",
            "color-burn",
            "hard-light",
            "soft-light",
            "difference",
            "exclusion",
            "add",
            "mask",
            "mask-out",
        ]
        | None
    ) = None
    """How colors are mixed (W3C, Compositing and Blending 1); ``mask`` keeps the source where the other image is
    opaque, ``mask-out`` where it is not. (default: normal)
    """
    width: int | None = None
    """The width of the other image, in pixels; by default, in proportion or unchanged."""
    height: int | None = None
    """The height of the other image, in pixels; by default, in proportion or unchanged."""
    gravity: (
        Literal["center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"] | None
    ) = None
    """The position of the other image. (default: center)"""
    x: int | None = None
    """How far the other image moves to the right, in pixels. (default: 0)"""
    y: int | None = None
    """How far the other image moves down, in pixels. (default: 0)"""
    opacity: float | None = None
    """In percent. (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Pad(Step):
    """Add a margin to each side."""

    algorithm: ClassVar[str] = "pad"

    top: int | None = None
    """The margin above, in pixels. (default: 0)"""
    right: int | None = None
    """The margin on the right, in pixels. (default: 0)"""
    bottom: int | None = None
    """The margin below, in pixels. (default: 0)"""
    left: int | None = None
    """The margin on the left, in pixels. (default: 0)"""
    mode: Literal["background", "copy", "mirror", "repeat"] | None = None
    """What fills the margin: a color, the edge pixels, or the image mirrored or repeated. (default: background)"""
    background: str | None = None
    """The color of the mode ``background``; transparent by default. (default: #ffffff00)"""


@dataclass(frozen=True, kw_only=True)
class Point(Value):
    """A point, as fractions of the image's width and height; it may lie slightly outside the image."""

    x: float
    """0 is the left edge, 1 the right edge."""
    y: float
    """0 is the upper edge, 1 the lower edge."""


@dataclass(frozen=True, kw_only=True)
class Perspective(Step):
    """Straighten a quadrangle, such as a photographed page, into a rectangle."""

    algorithm: ClassVar[str] = "perspective"

    corners: Sequence[Point]
    """The corners of the quadrangle: upper left, upper right, lower right, lower left."""
    width: int | None = None
    """The width of the result, in pixels; by default, the length of the longer horizontal edge."""
    height: int | None = None
    """The height of the result, in pixels; by default, the length of the longer vertical edge."""
    background: str | None = None
    """The color of parts that lie outside the image. (default: #ffffff00)"""


@dataclass(frozen=True, kw_only=True)
class Phash(Step):
    """Make a hash that hardly changes when an image is resized or encoded again, to find duplicates."""

    algorithm: ClassVar[str] = "phash"
    gives_image: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class Pixelate(Step):
    """Divide the image into square blocks, each filled with its mean color."""

    algorithm: ClassVar[str] = "pixelate"

    size: int | None = None
    """The side of a block, in pixels. (default: 10)"""


@dataclass(frozen=True, kw_only=True)
class Posterize(Step):
    """Reduce the number of tones, so that areas have one color, as on a poster."""

    algorithm: ClassVar[str] = "posterize"

    levels: int
    """The number of tones of each of red, green and blue."""


@dataclass(frozen=True, kw_only=True)
class ProgressiveBlur(Step):
    """Blur the image increasingly in one direction, by mixing in a blurred copy."""

    algorithm: ClassVar[str] = "progressive_blur"

    radius: float | None = None
    """The standard deviation where the blur is full, in pixels. (default: 8.0)"""
    direction: float | None = None
    """The direction in which it grows, in degrees clockwise: 0 is down, 90 is left. (default: 0.0)"""
    start: float | None = None
    """Where the blur begins, in percent of the way. (default: 0.0)"""
    stop: float | None = None
    """Where the blur becomes full, in percent of the way. (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Resize(Step):
    """Resize to width × height, or to one of them and keep the proportions."""

    algorithm: ClassVar[str] = "resize"

    width: int | None = None
    """In pixels, 1 to 16384; by default, in proportion to the height."""
    height: int | None = None
    """In pixels, 1 to 16384; by default, in proportion to the width."""
    fit: Literal["fill", "contain", "cover", "inside", "outside"] | None = None
    """If both sides are given: ``fill`` stretches the image to exactly that size; ``cover`` fills that size and
    cuts off the rest; ``contain`` fits the image into that size, on a background; ``inside`` makes it at most that
    size, and ``outside`` at least. (default: fill)
    """
    gravity: (
        Literal[
            "center",
            "north",
            "northeast",
            "east",
            "southeast",
            "south",
            "southwest",
            "west",
            "northwest",
            "attention",
            "entropy",
        ]
        | None
    ) = None
    """Which part ``cover`` keeps, and where ``contain`` puts the image. (default: center)"""
    focal: FocalPoint | None = None
    """The point that ``cover`` keeps in the middle; overrides ``gravity``."""
    enlarge: bool | None = None
    """Whether ``cover``, ``contain``, ``inside`` and ``outside`` may enlarge; ``fill`` always does."""
    background: str | None = None
    """The background of ``contain``; transparent by default. (default: #ffffff00)"""
    kernel: Literal["nearest", "linear", "cubic", "mitchell", "lanczos2", "lanczos3"] | None = None
    """The resampling filter, both to shrink and to enlarge. (default: lanczos3)"""
    linear: bool | None = None
    """Whether to resample in linear light, which is slower but correct for fine bright detail."""
    dpr: float | None = None
    """Device pixel ratio, 0.1 to 8: multiplies width and height. (default: 1.0)"""


@dataclass(frozen=True, kw_only=True)
class Rotate(Step):
    """Rotate the image; multiples of 90 degrees keep every pixel, other angles make the image larger."""

    algorithm: ClassVar[str] = "rotate"

    angle: float
    """In degrees, clockwise; a negative angle is counterclockwise."""
    background: str | None = None
    """The color of the new corners; transparent by default. (default: #ffffff00)"""


@dataclass(frozen=True, kw_only=True)
class RoundCorners(Step):
    """Round the corners: they become transparent (in JPEG, they get the color ``output.background``)."""

    algorithm: ClassVar[str] = "round_corners"

    radius: float
    """The radius of the corners; at most half of the shorter side."""
    radius_y: float | None = None
    """The vertical radius, for elliptical corners; by default, as ``radius``."""
    unit: Literal["px", "percent"] | None = None
    """The unit of ``radius``: pixels, or percent of the shorter side; 50 percent makes a square a circle. (default:
    px)
    """


@dataclass(frozen=True, kw_only=True)
class Saturation(Step):
    """Make colors stronger or weaker; the luma is unchanged."""

    algorithm: ClassVar[str] = "saturation"

    amount: float
    """In percent, -100 (gray) to 100 (twice as far from gray)."""


@dataclass(frozen=True, kw_only=True)
class Sepia(Step):
    """Give the image the brown tone of an old photograph, as CSS's sepia() does (Filter Effects 1, 9.3)."""

    algorithm: ClassVar[str] = "sepia"

    amount: float | None = None
    """In percent, 0 (unchanged) to 100 (an old photograph). (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class Sharpen(Step):
    """Make edges stand out (unsharp mask); alpha is unchanged."""

    algorithm: ClassVar[str] = "sharpen"

    radius: float | None = None
    """The standard deviation of the Gaussian, in pixels. (default: 1.0)"""
    amount: float | None = None
    """How much of the difference from the blurred image to add, in percent. (default: 100.0)"""
    threshold: float | None = None
    """Smaller differences, 0 to 255, count as noise and stay unchanged. (default: 0.0)"""


@dataclass(frozen=True, kw_only=True)
class Stamp(Step):
    """Put another image on this one at a position in pixels, once or repeated; ````watermark```` is simpler."""

    algorithm: ClassVar[str] = "stamp"

    file_id: int
    """The id of the stored image to put on the source."""
    gravity: (
        Literal["center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"] | None
    ) = None
    """The side or corner that ``x`` and ``y`` count from. (default: center)"""
    x: int | None = None
    """In pixels: the distance from the left or right edge if ``gravity`` is at that edge, otherwise to the right of
    the middle. (default: 0)
    """
    y: int | None = None
    """In pixels: the distance from the upper or lower edge if ``gravity`` is at that edge, otherwise below the
    middle. (default: 0)
    """
    repeat: Literal["none", "x", "y", "both"] | None = None
    """Whether to repeat the other image in a row, in a column, or all over. (default: none)"""
    gap_x: int | None = None
    """The space between copies in a row, in pixels. (default: 0)"""
    gap_y: int | None = None
    """The space between copies in a column, in pixels. (default: 0)"""
    width: float | None = None
    """The maximum width of the other image, in percent of the width of the source."""
    height: float | None = None
    """The maximum height of the other image, in percent of the height of the source."""
    opacity: float | None = None
    """In percent. (default: 100.0)"""
    blend: (
        Literal[
            "normal",
            "multiply",
            "screen",
            "overlay",
            "darken",
            "lighten",
            "color-dodge",
            "color-burn",
            "hard-light",
            "soft-light",
            "difference",
            "exclusion",
            "add",
            "mask",
            "mask-out",
        ]
        | None
    ) = None
    """As in ``overlay``. (default: normal)"""


@dataclass(frozen=True, kw_only=True)
class StripMetadata(Step):
    """Remove EXIF (with the place where the photograph was taken), XMP and IPTC."""

    algorithm: ClassVar[str] = "strip_metadata"

    keep_copyright: bool | None = None
    """Whether to keep the EXIF tags Artist and Copyright, taken from IPTC or XMP if EXIF lacks them. (default:
    true)
    """
    keep_profile: bool | None = None
    """Whether to keep the ICC profile; otherwise colors are converted to sRGB first. (default: true)"""


@dataclass(frozen=True, kw_only=True)
class Threshold(Step):
    """Make every pixel black or white, by its luma."""

    algorithm: ClassVar[str] = "threshold"

    level: float | None = None
    """The luma, 0 to 255, from which a pixel is white. (default: 128)"""


@dataclass(frozen=True, kw_only=True)
class Thumbnail(Step):
    """Make a small sRGB image as fast as possible, by decoding it at a reduced size. It is never enlarged."""

    algorithm: ClassVar[str] = "thumbnail"

    width: int | None = None
    """The maximum width, in pixels. (default: 200)"""
    height: int | None = None
    """The maximum height, in pixels. (default: 200)"""
    crop: bool | None = None
    """Whether to fill the whole size and cut off the rest."""
    gravity: (
        Literal[
            "center",
            "north",
            "northeast",
            "east",
            "southeast",
            "south",
            "southwest",
            "west",
            "northwest",
            "attention",
            "entropy",
        ]
        | None
    ) = None
    """Which part ``crop`` keeps. (default: attention)"""


@dataclass(frozen=True, kw_only=True)
class Tile(Step):
    """Cut the image into a pyramid of tiles for a zooming viewer (Deep Zoom and others), in a ZIP file."""

    algorithm: ClassVar[str] = "tile"
    gives_image: ClassVar[bool] = False

    layout: Literal["dz", "zoomify", "google", "iiif", "iiif3"] | None = None
    """Deep Zoom, Zoomify, Google Maps, or IIIF Image API 2 or 3. (default: dz)"""
    format: Literal["jpeg", "png", "webp"] | None = None
    """The format of the tiles. (default: jpeg)"""
    quality: int | None = None
    """The quality of JPEG and WebP tiles, 1 to 100. (default: 85)"""
    tile_size: int | None = None
    """The side of a tile, in pixels, without the overlap. Default: 254 for Deep Zoom, else 256. (default: 254)"""
    overlap: int | None = None
    """Pixels that adjacent tiles share (Deep Zoom). (default: 1)"""
    id: str | None = None
    """Required for IIIF: the address of the folder that the tiles will be served from."""


@dataclass(frozen=True, kw_only=True)
class Tint(Step):
    """Give the whole image one hue; the lightness (CIELAB) is unchanged."""

    algorithm: ClassVar[str] = "tint"

    color: str
    """The color whose hue and chroma the image gets."""
    amount: float | None = None
    """In percent, 0 (unchanged) to 100 (no other hue remains). (default: 100.0)"""


@dataclass(frozen=True, kw_only=True)
class ToColorspace(Step):
    """Convert the colors through ICC profiles to sRGB, Display P3 (the profile is embedded), CMYK or gray."""

    algorithm: ClassVar[str] = "to_colorspace"

    space: Literal["srgb", "p3", "cmyk", "gray"]
    """``cmyk`` has 8 bits and no alpha (transparent parts are put on white). Only JPEG and TIFF keep it; other
    formats convert it back to sRGB.
    """


@dataclass(frozen=True, kw_only=True)
class Trim(Step):
    """Cut off edges of one color. An image that has only this color is unchanged."""

    algorithm: ClassVar[str] = "trim"

    threshold: float | None = None
    """How much a pixel must differ from the background, 0 to 255, to stay. (default: 10.0)"""
    background: str | None = None
    """The color to cut off; by default, the color of the pixel in the ``corner``."""
    corner: Literal["northwest", "southeast"] | None = None
    """The corner whose pixel has the color to cut off: upper left or lower right. (default: northwest)"""
    equal: Literal["none", "horizontal", "vertical", "both"] | None = None
    """Whether to cut off equal amounts on the left and right (``horizontal``), at the top and bottom
    (``vertical``), or both; the side with less to cut off decides. (default: none)
    """
    margin: int | None = None
    """How much of the background to keep on each side, in pixels. (default: 0)"""


@dataclass(frozen=True, kw_only=True)
class Upscale(Step):
    """Enlarge the image (bicubic) and sharpen it."""

    algorithm: ClassVar[str] = "upscale"

    factor: float | None = None
    """The factor for width and height, at most 8. (default: 2.0)"""
    sharpen: float | None = None
    """The strength of the unsharp mask, in percent. (default: 50.0)"""


@dataclass(frozen=True, kw_only=True)
class Vignette(Step):
    """Fade the image towards its corners."""

    algorithm: ClassVar[str] = "vignette"

    amount: float | None = None
    """The share of the color in the corners, in percent. (default: 50.0)"""
    radius: float | None = None
    """How far from the middle the image stays unchanged, in percent of the distance to a corner. (default: 50.0)"""
    color: str | None = None
    """The color of the edges. (default: #000000)"""


@dataclass(frozen=True, kw_only=True)
class FileMark(Value):
    """An image as the mark."""

    file_id: int
    """The id of the stored image; transparent parts stay transparent."""


@dataclass(frozen=True, kw_only=True)
class TextMark(Value):
    """A text as the mark."""

    text: str
    """Latin, Greek, Cyrillic, and the other characters in the fonts of the worker's machine. Newlines separate
    lines.
    """
    color: str | None = None
    """The color of the letters. (default: #ffffff)"""
    outline: str | None = None
    """The outline of the letters: ``auto`` is black around light letters and white around dark letters, so that the
    text is readable on any image; a color; or ``none``. (default: auto)
    """
    bold: bool | None = None
    """Whether the letters are bold."""


@dataclass(frozen=True, kw_only=True)
class Watermark(Step):
    """Put another image or a text on the image as a mark, once or all over."""

    algorithm: ClassVar[str] = "watermark"
    gathered: ClassVar[Mapping[str, Sequence[str]]] = {"mark": ["file_id", "text", "color", "outline", "bold"]}

    mark: FileMark | TextMark | None = None
    """The mark to put on the image."""
    scale: float | None = None
    """The width of the mark, in percent of the width of the image. (default: 25.0)"""
    opacity: float | None = None
    """In percent. (default: 50.0)"""
    rotation: float | None = None
    """Degrees, clockwise. (default: 0.0)"""
    gravity: (
        Literal["center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"] | None
    ) = None
    """The position of the mark. (default: southeast)"""
    margin: float | None = None
    """The distance from the edges, in percent of the width of the image. (default: 3.0)"""
    tile: bool | None = None
    """Whether to repeat the mark all over the image."""
    file_id: int | None = None
    """The id of the stored image; transparent parts stay transparent."""
    text: str | None = None
    """Latin, Greek, Cyrillic, and the other characters in the fonts of the worker's machine. Newlines separate
    lines.
    """
    color: str | None = None
    """The color of the letters. (default: #ffffff)"""
    outline: str | None = None
    """The outline of the letters: ``auto`` is black around light letters and white around dark letters, so that the
    text is readable on any image; a color; or ``none``. (default: auto)
    """
    bold: bool | None = None
    """Whether the letters are bold."""


@dataclass(frozen=True, kw_only=True)
class WhiteBalance(Step):
    """Remove a color cast: the mean of all visible pixels becomes gray."""

    algorithm: ClassVar[str] = "white_balance"

    amount: float | None = None
    """In percent, 0 (unchanged) to 100 (the mean becomes gray). (default: 100.0)"""
