"""Builds a CMYK profile of 14 kB with the colors of the general one of 960 kB (ICC.1:2001, 6.5.7, lut16Type)."""

import struct
from functools import cache

import numpy
import pyvips

from image_processor.imaging.profiles import D50, assembled, general_cmyk, text_of_version_2, xyz_tag

_INK_STEPS = 6
"""Grid points for each ink. With linear interpolation the mean error is half of what eyes can see."""
_LAB_STEPS = 9
"""Grid points for each axis of CIELAB, in the table by which other programs convert to these inks."""
_PCS = "lab"
_INTENT = "relative"


@cache
def compact_cmyk() -> bytes:
    """Return the profile to embed in CMYK that was converted by the general profile."""
    to_lab = _table(4, 3, _INK_STEPS, _encoded(_colors_of_inks()))
    to_inks = _table(3, 4, _LAB_STEPS, _inks_of_colors())
    tags = {
        b"desc": text_of_version_2("General CMYK, compact"),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": xyz_tag(D50),
        **dict.fromkeys((b"A2B0", b"A2B1", b"A2B2"), to_lab),
        **dict.fromkeys((b"B2A0", b"B2A1", b"B2A2"), to_inks),
        # Every color counts as inside the gamut, because those outside have already been moved into it.
        b"gamt": _table(3, 1, 2, numpy.zeros(8)),
    }
    return assembled(tags, b"CMYK", kind=b"prtr", connection=b"Lab ")


def _grid(levels: numpy.ndarray, axes: int) -> numpy.ndarray:
    """Return all combinations, one per row; the last axis changes fastest."""
    return numpy.stack(numpy.meshgrid(*[levels] * axes, indexing="ij"), axis=-1).reshape(1, -1, axes)


def _colors_of_inks() -> numpy.ndarray:
    grid = _grid(numpy.rint(numpy.linspace(0, 255, _INK_STEPS)).astype("uint8"), 4)
    image = pyvips.Image.new_from_array(grid).copy(interpretation="cmyk")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", general_cmyk())
    lab: numpy.ndarray = image.icc_import(embedded=True, pcs=_PCS, intent=_INTENT).numpy().reshape(-1, 3)
    return lab


def _inks_of_colors() -> numpy.ndarray:
    levels = _grid(numpy.linspace(0, 65535, _LAB_STEPS), 3)
    lab = levels / (652.8, 256, 256) - (0, 128, 128)
    lab[..., 0] = lab[..., 0].clip(0, 100)
    image = pyvips.Image.new_from_array(numpy.ascontiguousarray(lab.astype("float32"))).copy(interpretation="lab")
    inks = image.icc_export(output_profile="cmyk", pcs=_PCS, intent=_INTENT, depth=16)
    values: numpy.ndarray = inks.numpy().reshape(-1, 4)
    return values


def _encoded(lab: numpy.ndarray) -> numpy.ndarray:
    """Encode CIELAB in 16 bits (ICC.1:2001, A.1)."""
    encoded: numpy.ndarray = (lab + numpy.array([0, 128, 128])) * (652.8, 256, 256)
    return encoded


def _table(inputs: int, outputs: int, steps: int, values: numpy.ndarray) -> bytes:
    """Return a tag with a grid of 16-bit values; its curves and its matrix change nothing."""
    line = struct.pack(">2H", 0, 65535)
    matrix = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    head = b"mft2" + bytes(4) + bytes([inputs, outputs, steps, 0]) + matrix + struct.pack(">2H", 2, 2)
    whole: bytes = numpy.rint(values).clip(0, 65535).astype(">u2").tobytes()
    return head + line * inputs + whole + line * outputs
