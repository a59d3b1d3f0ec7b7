"""Draws text in Roboto, which is installed with Pixmill, or in any font of the machine that has the character."""

from functools import cache, lru_cache
from html import escape

import numpy
import pyvips
from font_roboto import font_files
from service_kit.texts import sentence

from image_processor.imaging.color import rgba
from image_processor.imaging.errors import UnsuitableImageError
from image_processor.imaging.gaussian import gaussian_to_see

_OUTLINE_SHARE = 0.045
"""The width of the outline as a share of the height of a line."""
_OUTLINE_GAIN = 5
"""The factor on the blurred letters, which makes the outline opaque next to them."""

_TRIED_HEIGHT = 32
"""The height in pixels of the line in which a character is tried."""
_SHOWN = 10
"""How many missing characters an error names."""
_IN_NO_FONT = ("\u0378", "\U0010fffd")
"""Characters that Unicode leaves unassigned, with four digits and with more."""
_FRAME = 2
"""The width in pixels of the edge of the box that Pango draws for a character without a font: a line and a gap."""


def typeset(text: str, height: int, color: str, *, bold: bool, outline: str | None) -> pyvips.Image:
    """Return the text in sRGB with alpha, cropped to its ink and its outline; newlines separate lines.

    Emoji have the colors of their font.

    :param height: the height of a line in pixels.
    :param outline: the color of the outline; ``None`` for none.
    :raises UnsuitableImageError: the text has no visible character, or one that no font has.
    """
    missing = [character for character in dict.fromkeys(text) if is_missing(character)]
    if missing:
        raise UnsuitableImageError(
            sentence(
                "No font on the worker's machine has {missing}: install a font that does, or remove these characters "
                "from the text.",
                missing=_named(missing),
            )
        )
    red, green, blue, alpha = rgba(color)
    markup = (
        f'<span foreground="#{round(red):02x}{round(green):02x}{round(blue):02x}">{escape(text, quote=False)}</span>'
    )
    try:
        letters = _drawn(markup, height, bold=bold, in_colors=True)
    except pyvips.Error as error:
        raise UnsuitableImageError(sentence("The text has no visible character.")) from error
    letters = letters.copy(interpretation="srgb")
    ink = letters[0:3].bandjoin((letters[3] * (alpha / 255)).cast("uchar"))
    return ink if outline is None else _outlined(ink, letters[3], height, outline, opaque=alpha == 255)


def contrasting(color: str) -> str:
    """Return black or white, the one with more contrast to the color (WCAG 2, relative luminance)."""
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in rgba(color)[:3])
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if luminance > 0.179 else "#ffffff"


def _outlined(ink: pyvips.Image, shape: pyvips.Image, height: int, color: str, *, opaque: bool) -> pyvips.Image:
    """Return the ink on a soft, slightly larger copy of its shape."""
    reach = max(1.0, height * _OUTLINE_SHARE)
    margin = round(2 * reach)
    width, height = ink.width + 2 * margin, ink.height + 2 * margin
    wide = shape.embed(margin, margin, width, height).copy(interpretation="b-w")
    spread = gaussian_to_see(wide, reach * 0.75)
    red, green, blue, alpha = rgba(color)
    strength = (spread * _OUTLINE_GAIN > 255).ifthenelse(255, spread * _OUTLINE_GAIN) * (alpha / 255)
    if not opaque:  # the image, not the outline, shows through the letters
        strength *= wide / -255 + 1
    ground = (strength * 0 + [red, green, blue]).bandjoin(strength).cast("uchar").copy(interpretation="srgb")
    return ground.composite2(ink.embed(margin, margin, width, height), "over").cast("uchar")


@lru_cache(maxsize=8192)
def is_missing(character: str) -> bool:
    """Return whether no font of the machine has the character: Pango then draws a box, recognized by its edge."""
    try:
        drawn = _tried(character)
    except pyvips.Error:  # a space or a control character: nothing is drawn
        return False
    return any(drawn.shape == box.shape and (_frame(drawn) == _frame(box)).all() for box in _boxes())


@cache
def _boxes() -> tuple[numpy.ndarray, ...]:
    return tuple(_tried(character) for character in _IN_NO_FONT)


def _tried(character: str) -> numpy.ndarray:
    drawn: numpy.ndarray = _drawn(escape(character), _TRIED_HEIGHT, bold=False, in_colors=False).numpy()
    return drawn


def _frame(drawn: numpy.ndarray) -> numpy.ndarray:
    sides = (drawn[:_FRAME], drawn[-_FRAME:], drawn[:, :_FRAME].T, drawn[:, -_FRAME:].T)
    return numpy.concatenate([side.ravel() for side in sides])


def _drawn(markup: str, height: int, *, bold: bool, in_colors: bool) -> pyvips.Image:
    name, weight = ("RobotoBold", "Bold ") if bold else ("Roboto", "")
    return pyvips.Image.text(markup, font=f"Roboto {weight}{height}px", fontfile=font_files[name], rgba=in_colors)


def _named(characters: list[str]) -> str:
    shown = [f"'{character}' (U+{ord(character):04X})" for character in characters[:_SHOWN]]
    more = f" and {len(characters) - _SHOWN} more" if len(characters) > _SHOWN else ""
    return f"the character{'s' if len(characters) > 1 else ''} {', '.join(shown)}{more}"
