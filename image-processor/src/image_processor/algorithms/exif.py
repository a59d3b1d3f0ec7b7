"""``exif``"""

import re

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.output import Report

_GROUPS = {"ifd0": "image", "ifd1": "thumbnail", "ifd2": "photo", "ifd3": "gps", "ifd4": "interoperability"}
_LIBVIPS = re.compile(r"(?P<both>.*), (?P<kind>\w+), \d+ components?, \d+ bytes?\)", re.DOTALL)


class ExifReport(Report):
    """The EXIF tags, each with its value as a person reads it."""

    image: dict[str, str] = Field(default_factory=dict, description="Of the image: camera, artist, copyright …")
    photo: dict[str, str] = Field(default_factory=dict, description="Of the shot: exposure, lens, time …")
    gps: dict[str, str] = Field(default_factory=dict, description="Where it was taken.")
    thumbnail: dict[str, str] = Field(default_factory=dict)
    interoperability: dict[str, str] = Field(default_factory=dict)


@algorithm(sequential=True, any_colour_space=True)
def exif(image: pyvips.Image, params: NoParams) -> ExifReport:  # noqa: ARG001 (an algorithm's shape)
    """Read the EXIF tags (CIPA DC-008). The orientation is applied already, and not among them."""
    tags: dict[str, dict[str, str]] = {group: {} for group in _GROUPS.values()}
    for field in image.get_fields():
        _, _, rest = field.partition("exif-")
        group, _, name = rest.partition("-")
        if field.startswith("exif-ifd") and group in _GROUPS:
            tags[_GROUPS[group]][name] = _value(str(image.get(field)))
    return ExifReport(**tags)


def _value(text: str) -> str:
    """What a person reads; libvips writes ``raw (as a person reads it, type, count, bytes)``."""
    found = _LIBVIPS.fullmatch(text)
    if found is None:
        return text.strip()
    both = found["both"]
    # Of a text both are the same, and may have parentheses; anything else is raw in numbers.
    read = both[len(both) // 2 + 1 :] if found["kind"].upper() == "ASCII" else both.partition(" (")[2]
    return read.strip()
