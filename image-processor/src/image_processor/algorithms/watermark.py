"""``watermark``: ``{"mark": {"text": "© Pixmill"}, "gravity": "southeast"}``"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import pyvips
from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import faded, on_premultiplied
from image_processor.imaging.color import Color, in_color, with_alpha
from image_processor.imaging.composite import laid
from image_processor.imaging.css_colors import PATTERN, canonical
from image_processor.imaging.files import Files
from image_processor.imaging.gravity import Compass, corner
from image_processor.imaging.params import FileId, hint, or_british
from image_processor.imaging.scaling import scaled
from image_processor.imaging.typeset import contrasting, typeset

TEXT_HEIGHT = 128
"""The height in pixels of a line of the draft, from which the final size is computed."""

LEAST_TEXT_HEIGHT = 16
"""The height in pixels at which smaller letters are drawn before they are shrunk, as their strokes would vanish."""


def _outline(text: str) -> str:
    return text if text in _OUTLINES else canonical(text)


_OUTLINES = ("auto", "none")
Outline = Annotated[
    str,
    AfterValidator(_outline),
    WithJsonSchema({"anyOf": [{"enum": list(_OUTLINES), "type": "string"}, {"type": "string", "pattern": PATTERN}]}),
]


class FileMark(Params):
    """An image as the mark."""

    file_id: FileId = Field(description="The id of the stored image; transparent parts stay transparent.", examples=[2])


class TextMark(Params):
    """A text as the mark."""

    text: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$",
        description="Latin, Greek, Cyrillic, and the other characters in the fonts of the worker's machine. Newlines "
        "separate lines.",
        examples=["© Pixmill"],
    )
    color: Color = Field("#ffffff", validation_alias=or_british("color"), description="The color of the letters.")
    outline: Outline = Field(
        "auto",
        description="The outline of the letters: `auto` is black around light letters and white around dark letters, "
        "so that the text is readable on any image; a color; or `none`.",
        examples=["none"],
    )
    bold: bool = Field(default=False, description="Whether the letters are bold.")


def _kind(mark: object) -> str | None:
    """Return which kind of mark is meant, so that an error names fields of that kind only."""
    names = mark.keys() if isinstance(mark, Mapping) else type(mark).model_fields if isinstance(mark, Params) else ()
    return "TextMark" if "text" in names else "FileMark" if "file_id" in names else None


Mark = Annotated[
    Annotated[FileMark, Tag("FileMark")] | Annotated[TextMark, Tag("TextMark")],
    Discriminator(_kind, custom_error_type="no_mark", custom_error_message="a mark has either `text` or `file_id`"),
]


class WatermarkParams(Params):
    mark: Mark = Field(description="The mark to put on the image.", examples=[{"text": "© Pixmill", "bold": True}])
    scale: float = Field(
        25.0,
        ge=1,
        le=100,
        description="The width of the mark, in percent of the width of the image.",
        examples=[40],
        json_schema_extra=hint(unit="%"),
    )
    opacity: float = Field(
        50.0, ge=0, le=100, description="In percent.", examples=[80], json_schema_extra=hint(unit="%")
    )
    rotation: float = Field(0.0, ge=-360, le=360, description="Degrees, clockwise.", json_schema_extra=hint(unit="°"))
    gravity: Compass = Field("southeast", description="The position of the mark.", examples=["south"])
    margin: float = Field(
        3.0,
        ge=0,
        le=50,
        description="The distance from the edges, in percent of the width of the image.",
        json_schema_extra=hint(unit="%"),
    )
    tile: bool = Field(default=False, description="Whether to repeat the mark all over the image.")

    def file_ids(self) -> Sequence[int]:
        return [self.mark.file_id] if isinstance(self.mark, FileMark) else []


@algorithm(category="composing", sequential=True)
def watermark(image: pyvips.Image, params: WatermarkParams, files: Files) -> pyvips.Image:
    """Put another image or a text on the image as a mark, once or all over."""
    mark = faded(_sized(image, params, files), params.opacity / 100)
    margin = round(image.width * params.margin / 100)
    if params.tile:
        return laid(image, _tiled(mark, image.width, image.height, margin), 0, 0)
    left, top = corner(params.gravity, image.width - mark.width - 2 * margin, image.height - mark.height - 2 * margin)
    return laid(image, mark, left + margin, top + margin)


def _sized(image: pyvips.Image, params: WatermarkParams, files: Files) -> pyvips.Image:
    """Return the rotated mark at the requested width, at most as high as the image."""
    if isinstance(params.mark, FileMark):
        mark = _turned(with_alpha(in_color(files.image(params.mark.file_id))), params.rotation)
    else:
        draft = _turned(_written(params.mark, TEXT_HEIGHT), params.rotation)
        # Draw letters at their final size, because an enlarged draft would be jagged.
        height = max(LEAST_TEXT_HEIGHT, round(TEXT_HEIGHT * _scale(draft, image, params)))
        mark = _turned(_written(params.mark, height), params.rotation)
    scale = _scale(mark, image, params)
    return scaled(mark, max(1, round(mark.width * scale)), max(1, round(mark.height * scale)))


def _written(mark: TextMark, height: int) -> pyvips.Image:
    outline = contrasting(mark.color) if mark.outline == "auto" else mark.outline
    return typeset(mark.text, height, mark.color, bold=mark.bold, outline=None if outline == "none" else outline)


def _turned(mark: pyvips.Image, degrees: float) -> pyvips.Image:
    if not degrees:
        return mark
    return on_premultiplied(mark, lambda bands: bands.rotate(degrees, background=[0, 0, 0, 0]))


def _scale(mark: pyvips.Image, image: pyvips.Image, params: WatermarkParams) -> float:
    """Return the factor by which to scale the mark."""
    return float(min(image.width * params.scale / 100 / mark.width, image.height / mark.height))


def _tiled(mark: pyvips.Image, width: int, height: int, margin: int) -> pyvips.Image:
    cell = mark.embed(0, 0, mark.width + margin, mark.height + margin)
    return cell.replicate(-(-width // cell.width), -(-height // cell.height)).crop(0, 0, width, height)
