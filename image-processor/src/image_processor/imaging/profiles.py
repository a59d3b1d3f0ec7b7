"""Compares ICC profiles (ICC.1:2010) with sRGB, and builds small ones for colors that are described otherwise."""

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, wraps
from typing import Concatenate, ParamSpec, cast

import numpy
import pyvips

_STEPS = 9
"""Values of each of red, green and blue in the grid for comparing a profile with sRGB."""
_TOLERANCE = 2 * 257
"""Levels of 65,535, by which the various sRGB profiles differ from each other."""
D50 = (0.9642, 1.0, 0.8249)
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Pillow's modes by the color space in a profile's header."""
_SPACES = {
    **dict.fromkeys(("b-w", "grey16"), b"GRAY"),
    **dict.fromkeys(("srgb", "rgb", "rgb16", "scrgb"), b"RGB "),
    "cmyk": b"CMYK",
}
"""The color space in the header of a profile that suits an image, by libvips' interpretation of the image."""
_BRADFORD = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

Rest = ParamSpec("Rest")
Point = tuple[float, float]
"""Chromaticity, x and y of CIE 1931."""


@dataclass(frozen=True)
class Primaries:
    """Chromaticities of a display's primaries and its white."""

    red: Point
    green: Point
    blue: Point
    white: Point = (0.3127, 0.3290)

    def are_real(self) -> bool:
        """Return whether these are valid chromaticities: red, green and blue must not lie on one line."""
        (rx, ry), (gx, gy), (bx, by) = self.red, self.green, self.blue
        if not all(0 < value < 1 for point in (self.red, self.green, self.blue, self.white) for value in point):
            return False
        return abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) > 0.01


SRGB = Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


@dataclass(frozen=True)
class TransferFunction:
    """A transfer function: light is the sample to this power; ``None`` for the function of sRGB."""

    power: float | None


MOST_REMEMBERED_BYTES = 1_000_000
"""Maximum size of a profile that a process remembers; hostile ones may have any size."""


def remembered(check: Callable[Concatenate[bytes, Rest], bool]) -> Callable[Concatenate[bytes, Rest], bool]:
    """Let a check of a profile, its first argument, remember its results for the last profiles of usual size."""
    # To mypy, the result of lru_cache takes any arguments.
    remembering = cast("Callable[Concatenate[bytes, Rest], bool]", lru_cache(maxsize=64)(check))

    @wraps(check)
    def checked(profile: bytes, /, *rest: Rest.args, **named: Rest.kwargs) -> bool:
        chosen = remembering if len(profile) <= MOST_REMEMBERED_BYTES else check
        return chosen(profile, *rest, **named)

    return checked


@remembered
def means_srgb(profile: bytes) -> bool:
    """Return whether an RGB profile converts colors as sRGB does, regardless of its name."""
    if profile[16:20] != b"RGB ":
        return False
    try:
        seen = _grid().copy()
        seen.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        converted = seen.icc_transform("srgb", embedded=True, depth=16)
        return bool((converted - _grid()).abs().max() <= _TOLERANCE)
    except pyvips.Error:
        return False


@remembered
def is_readable(profile: bytes) -> bool:
    """Return whether the profile is complete and converts colors.

    libvips uses sRGB instead of a profile that LittleCMS cannot read, without an error, so it cannot be asked.
    """
    from PIL import ImageCms  # imported only by processes that need it

    (length,) = struct.unpack(">I", profile[:4].rjust(4, b"\0"))
    if length > len(profile):  # browsers ignore it too, even if its tags are complete
        return False
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(profile[16:20])
        if mode is not None:
            # The intent of libvips: a profile need not have the tables of the others.
            ImageCms.buildTransform(
                opened,
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.NOOPTIMIZE,
            )
    except (OSError, ImageCms.PyCMSError):
        return False
    return True


def suits(profile: bytes, image: pyvips.Image) -> bool:
    """Return whether the profile is readable and for colors such as the image has.

    Some writers keep a profile for other colors, which no reader can apply.
    """
    return _SPACES.get(image.interpretation, profile[16:20]) == profile[16:20] and is_readable(profile)


@cache
def _grid() -> pyvips.Image:
    levels = numpy.linspace(0, 65535, _STEPS).astype("uint16")
    grid = numpy.stack(numpy.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    return pyvips.Image.new_from_array(numpy.ascontiguousarray(grid)).copy(interpretation="rgb16")


@cache
def general_cmyk() -> bytes:
    """Return the profile that is assumed for CMYK without a profile; results get a compact one instead."""
    return bytes(pyvips.Image.profile_load("cmyk"))


def without_tail(profile: bytes) -> bytes:
    """Return the profile without bytes after its end, which some programs append and writers refuse."""
    (length,) = struct.unpack(">I", profile[:4].rjust(4, b"\0"))
    return profile[:length] if 128 < length < len(profile) else profile


@lru_cache(maxsize=64)
def small_profile(primaries: Primaries, *transfers: TransferFunction, gray: bool) -> bytes:
    """Return a profile for a display with these primaries and transfer functions: of about 1000 bytes with one.

    :param transfers: one for all colors, or that of red, green and blue.
    """
    texts = {b"desc": text_of_version_2("Described by the image"), b"cprt": b"text" + bytes(4) + b"CC0\0"}
    tags = {**texts, b"wtpt": xyz_tag(D50)}
    if gray:
        tags[b"kTRC"] = _curve(transfers[0])
    else:
        columns = _adapted(primaries)
        tags |= {name: xyz_tag(columns[:, number]) for number, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
        curves = [_curve(transfer) for transfer in (transfers if len(transfers) > 1 else transfers * 3)]
        tags |= dict(zip((b"rTRC", b"gTRC", b"bTRC"), curves, strict=True))
    return assembled(tags, b"GRAY" if gray else b"RGB ", kind=b"mntr", connection=b"XYZ ")


def _adapted(primaries: Primaries) -> numpy.ndarray:
    """Return XYZ of the three primaries as columns, adapted to a white of D50."""

    def xyz(point: Point) -> numpy.ndarray:
        x, y = point
        return numpy.array([x / y, 1.0, (1 - x - y) / y])

    unscaled = numpy.column_stack([xyz(primaries.red), xyz(primaries.green), xyz(primaries.blue)])
    white = xyz(primaries.white)
    cones = (_BRADFORD @ numpy.array(D50)) / (_BRADFORD @ white)
    adaptation = numpy.linalg.inv(_BRADFORD) @ numpy.diag(cones) @ _BRADFORD
    scaled: numpy.ndarray = adaptation @ (unscaled * numpy.linalg.solve(unscaled, white))
    return scaled


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz_tag(values: Sequence[float] | numpy.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(float(value)) for value in values)


def _curve(transfer: TransferFunction) -> bytes:
    if transfer.power is None:  # IEC 61966-2-1
        points = [((x + 0.055) / 1.055) ** 2.4 if x > 0.04045 else x / 12.92 for x in numpy.linspace(0, 1, 256)]
    else:
        points = [float(x**transfer.power) for x in numpy.linspace(0, 1, 256)]
    samples = [round(point * 65535) for point in points]
    return b"curv" + bytes(4) + struct.pack(">I256H", 256, *samples)


def text_of_version_2(text: str) -> bytes:
    content = text.encode("ascii") + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(content)) + content + bytes(78)


def assembled(tags: Mapping[bytes, bytes], space: bytes, *, kind: bytes, connection: bytes) -> bytes:
    """Return the profile with these tags.

    :param space: color space of the device.
    :param kind: device class.
    :param connection: profile connection space.
    """
    start = 128 + 4 + 12 * len(tags)
    table, body, places = b"", b"", dict[bytes, int]()
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", places[data], len(data))
    content = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(content), bytes(4), 0x02200000, kind, space, connection)
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += b"".join(_fixed(value) for value in D50)
    return head.ljust(128, b"\0") + content
