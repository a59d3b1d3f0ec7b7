"""Text as an image, in fonts that are installed with Pixmill: Roboto, Latin, Greek and Cyrillic."""

from html import escape

import pyvips
from font_roboto import font_files

from image_processor.imaging.colour import rgba
from image_processor.imaging.picture import UnsuitableImageError


def typeset(text: str, height: int, colour: str, *, bold: bool) -> pyvips.Image:
    """The text in sRGB with alpha, cropped to its ink; lines are parted by newlines.

    :param height: of a line, in pixels.
    :raises UnsuitableImageError: the text has nothing to be seen.
    """
    name, weight = ("RobotoBold", "Bold ") if bold else ("Roboto", "")
    try:
        mask = pyvips.Image.text(
            escape(text, quote=False), font=f"Roboto {weight}{height}px", fontfile=font_files[name]
        )
    except pyvips.Error as error:
        raise UnsuitableImageError("The text has no character that can be seen.") from error
    red, green, blue, alpha = rgba(colour)
    ink = (mask * 0 + [red, green, blue]).cast("uchar").copy(interpretation="srgb")
    return ink.bandjoin((mask * (alpha / 255)).cast("uchar"))
