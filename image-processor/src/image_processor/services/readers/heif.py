"""Reads HEIC and HEIF, as phones write them: one image, upright, with 8 or 16 bits per band."""

from functools import partial
from pathlib import Path

import pillow_heif
import pyvips
from pillow_heif import HeifImage

from image_processor.imaging.profiles import SRGB, TransferFunction, is_readable, means_srgb, small_profile
from image_processor.imaging.source import Source
from image_processor.services.codec.colors import coded_colors
from image_processor.services.codec.pages import check_page
from image_processor.services.readers.metadata import metadata_of
from image_processor.services.readers.opened import Opened

# A worker has one process per core, so one thread is enough. Thumbnails and depth maps are not used.
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False

_BANDS = {"I": 1, "L": 1, "LA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}


def open_image(source: Path, wanted: Source) -> Opened:
    """Return the requested image, or the primary one."""
    file = pillow_heif.open_heif(source, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    check_page(wanted.page, len(file))
    image = file[file.primary_index if wanted.page is None else wanted.page - 1]
    width, height = image.size
    metadata = metadata_of(image.info.items(), is_upright=True)
    if metadata.profile is None or not is_readable(metadata.profile):
        metadata = metadata._replace(profile=_coded_profile(image))
    name, _, deep = image.mode.partition(";")
    pixel_bytes = _BANDS[name] * (2 if deep else 1)
    pixels = partial(_pixels, image)
    return Opened(
        "heic",
        width,
        height,
        lossless=False,
        pixels=pixels,
        metadata=metadata,
        frames=len(file),
        pages=[page.size for page in file],
        pixel_bytes=pixel_bytes,
    )


def _coded_profile(image: HeifImage) -> bytes | None:
    """Return a profile for the colors that an nclx box describes; ``None`` if they are sRGB or undescribed.

    :raises ImageError: the colors are not supported, such as those of high dynamic range.
    """
    coded = image.info.get("nclx_profile")
    if not isinstance(coded, dict):
        return None
    colors = coded_colors(int(coded["color_primaries"]), int(coded["transfer_characteristics"]), "HEIF")
    profile = small_profile(*colors, gray=_BANDS[image.mode.partition(";")[0]] < 3)
    return None if means_srgb(profile) or colors == (SRGB, TransferFunction(None)) else profile


def _pixels(image: HeifImage) -> pyvips.Image:
    data = image.data
    name, _, deep = image.mode.partition(";")
    bands = _BANDS[name]
    decoded = pyvips.Image.new_from_memory(data, *image.size, bands, "ushort" if deep else "uchar")
    if deep:
        white = 2 ** int(str(image.info["bit_depth"])) - 1
        decoded = (decoded * (65535 / white)).rint().cast("ushort")
    space = ("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb")
    decoded = decoded.copy(interpretation=space)
    return decoded.unpremultiply().cast(decoded.format) if image.premultiplied_alpha else decoded
