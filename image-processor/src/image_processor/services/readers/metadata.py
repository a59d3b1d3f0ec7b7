"""Attaches EXIF, XMP, IPTC and ICC profiles to libvips images from files that libvips does not read."""

import io
from collections.abc import Iterable
from typing import NamedTuple

import pyvips

from image_processor.imaging.profiles import suits
from image_processor.services.codec.exif_block import without_invented_tags
from image_processor.services.codec.resolution import with_resolution_of

_EXIF_HEADER = b"Exif\0\0"
_FIELDS = ("exif-", "xmp-data", "orientation")
_PROFILE_FIELD, _IPTC_FIELD = "icc-profile-data", "iptc-data"


class Metadata(NamedTuple):
    """The metadata of an image.

    :param is_upright: the decoder has already turned the pixels, so EXIF's orientation must be ignored.
    :param iptc: bare data sets.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    profile: bytes | None = None
    is_upright: bool = False
    iptc: bytes | None = None


def metadata_of(info: Iterable[tuple[object, object]], *, is_upright: bool = False) -> Metadata:
    """Return the metadata in an image's ``info``, under the names of Pillow and its plugins."""
    found = {name: value for name, value in info if isinstance(value, bytes)}
    return Metadata(found.get("exif"), found.get("xmp"), found.get("icc_profile"), is_upright)


def with_metadata(image: pyvips.Image, metadata: Metadata) -> pyvips.Image:
    """Return the image upright and with this metadata, except a profile that cannot be applied."""
    image = image.copy()
    if metadata.profile and suits(metadata.profile, image):
        image.set_type(pyvips.GValue.blob_type, _PROFILE_FIELD, metadata.profile)
    if metadata.iptc:
        image.set_type(pyvips.GValue.blob_type, _IPTC_FIELD, metadata.iptc)
    if metadata.exif or metadata.xmp:
        carrier = _carrier(metadata)
        for field in carrier.get_fields():
            if field.startswith(_FIELDS):
                image.set_type(carrier.get_typeof(field), field, carrier.get(field))
        image = with_resolution_of(image, carrier) if metadata.exif else image
        image = without_invented_tags(image).copy()
    if metadata.is_upright:
        for field in ("orientation", "exif-ifd0-Orientation"):
            image.remove(field)
        return image
    return image.autorot()


def _carrier(metadata: Metadata) -> pyvips.Image:
    """Return an image of one pixel with the EXIF and XMP: libvips parses EXIF only when it loads a file."""
    from PIL import Image, PngImagePlugin  # imported only by processes that need it

    text = PngImagePlugin.PngInfo()
    if metadata.xmp:
        text.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace").rstrip("\0"))
    exif = (metadata.exif or b"").removeprefix(_EXIF_HEADER) or None
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG", pnginfo=text, exif=exif)
    return pyvips.Image.pngload_buffer(buffer.getvalue())
