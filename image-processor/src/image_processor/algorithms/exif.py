"""``exif``"""

import re
from collections.abc import Sequence
from fractions import Fraction

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.exif_values import NAMES, flash
from image_processor.imaging.output import Report

_GROUPS = {"ifd0": "image", "ifd1": "thumbnail", "ifd2": "photo", "ifd3": "gps", "ifd4": "interoperability"}
_LIBVIPS = re.compile(r"(?P<both>.*), (?P<kind>\w+), \d+ components?, \d+ bytes?\)", re.DOTALL)
_FAILED = "Internal error"
_UNKNOWN = re.compile(r"Internal error \(unknown value (\d+)\)")
_ALTITUDE_REFERENCE = "GPSAltitudeRef"
_TEXTS_OF_ALTITUDES = {"Sea level": "0", "Sea level reference": "1"}
"""libexif's texts instead of the number; that of 1 does not say that the altitude is below the sea."""
_BELOW_THE_SEA = ("1", "3")


class ExifReport(Report):
    """The EXIF tags, each with a readable value."""

    image: dict[str, str] = Field(default_factory=dict, description="About the image: camera, artist, copyright …")
    photo: dict[str, str] = Field(default_factory=dict, description="About the shot: exposure, lens, time …")
    gps: dict[str, str] = Field(default_factory=dict, description="Where it was taken.")
    latitude: float | None = Field(None, description="Decimal degrees; negative south of the equator.")
    longitude: float | None = Field(None, description="Decimal degrees; negative west of Greenwich.")
    altitude: float | None = Field(None, description="Meters above sea level; negative below it.")
    thumbnail: dict[str, str] = Field(default_factory=dict)
    interoperability: dict[str, str] = Field(default_factory=dict)


@algorithm(category="analysis", sequential=True, any_color_space=True)
def exif(image: pyvips.Image, params: NoParams) -> ExifReport:  # noqa: ARG001 (an algorithm's signature)
    """Read the EXIF tags (CIPA DC-008), except the orientation, which is already applied."""
    tags: dict[str, dict[str, str]] = {group: {} for group in _GROUPS.values()}
    for field in image.get_fields():
        _, _, rest = field.partition("exif-")
        group, _, name = rest.partition("-")
        if field.startswith("exif-ifd") and group in _GROUPS:
            tags[_GROUPS[group]][name] = _value(name, str(image.get(field)))
    return ExifReport(
        image=tags["image"],
        photo=tags["photo"],
        gps=tags["gps"],
        thumbnail=tags["thumbnail"],
        interoperability=tags["interoperability"],
        latitude=_degrees(image, "Latitude", "S", 90),
        longitude=_degrees(image, "Longitude", "W", 180),
        altitude=_altitude(image),
    )


def _value(name: str, text: str) -> str:
    """Return the readable part of what libvips writes: ``raw (readable, type, count, bytes)``."""
    found = _LIBVIPS.fullmatch(text)
    if found is None:
        return text.strip()
    both = found["both"]
    if found["kind"].upper() == "ASCII":  # both parts are equal, and may have parentheses
        return both[len(both) // 2 + 1 :].strip()
    raw, read = _raw(name, both), both.partition(" (")[2]
    if raw.isdecimal() and (name in NAMES or name == "Flash"):
        # libexif fails to translate these values.
        return flash(int(raw)) if name == "Flash" else NAMES[name].get(int(raw), raw)
    return raw if _FAILED in read else read.strip()


def _raw(name: str, text: str) -> str:
    """Return the stored value, also where libexif writes a text of its own instead."""
    unknown = _UNKNOWN.match(text)
    raw = unknown[1] if unknown else text.partition(" (")[0]
    return _TEXTS_OF_ALTITUDES.get(raw, raw) if name == _ALTITUDE_REFERENCE else raw


def _numbers(image: pyvips.Image, name: str) -> Sequence[float]:
    """Return the rational numbers of a GPS tag; an empty list if it is missing or damaged."""
    field = f"exif-ifd3-GPS{name}"
    if not image.get_typeof(field):
        return []
    raw = str(image.get(field)).partition(" (")[0]
    try:
        return [float(Fraction(part)) for part in raw.split()]
    except (ValueError, ZeroDivisionError):
        return []


def _degrees(image: pyvips.Image, name: str, negative: str, most: float) -> float | None:
    parts = _numbers(image, name)
    if len(parts) != 3:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    if not 0 <= degrees <= most:  # not on Earth
        return None
    reference = f"exif-ifd3-GPS{name}Ref"
    turned = image.get_typeof(reference) and str(image.get(reference)).startswith(negative)
    return round(-degrees if turned and degrees else degrees, 7)


def _altitude(image: pyvips.Image) -> float | None:
    meters = _numbers(image, "Altitude")
    if len(meters) != 1:
        return None
    reference = f"exif-ifd3-{_ALTITUDE_REFERENCE}"
    below = image.get_typeof(reference) and _raw(_ALTITUDE_REFERENCE, str(image.get(reference))) in _BELOW_THE_SEA
    return -meters[0] if below and meters[0] else meters[0]
