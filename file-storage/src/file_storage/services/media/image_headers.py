"""Reads the sizes of images that Pillow cannot open, or only by decoding them."""

import struct
from collections.abc import Callable, Mapping
from typing import IO

from service_kit.svg_header import root_size

from file_storage.services.media.heif_header import Size, heif_size
from file_storage.services.media.jpegxl_header import jpegxl_size

_PNG = b"\x89PNG\r\n\x1a\n"
_OS2_HEADER = 12
"""Size of the BMP header whose sides have 16 bits."""
_DEEP = 32
"""Bits per pixel of an icon's picture with alpha."""
_MAX_PICTURES = 100
_ROOT_BYTES = 64 * 1024
"""Bytes of an SVG searched for its root; drawing programs write entities and comments before it."""


def size_of(media_type: str, file: IO[bytes]) -> Size | None:
    """Return the width and height of an image as displayed; ``None`` if its header does not contain them."""
    read = _READERS.get(media_type)
    if read is None:
        return None
    file.seek(0)
    try:
        return read(file)
    except Exception:  # noqa: BLE001 (a hostile header may raise any error, and must not fail the upload)
        return None


def _bmp(file: IO[bytes]) -> Size:
    """Return the size of a BMP of a kind that Pillow does not open; a negative height means that the top is first."""
    head = file.read(26)
    is_short = int.from_bytes(head[14:18], "little") == _OS2_HEADER
    width, height = struct.unpack_from("<HH" if is_short else "<ii", head, 18)
    return width, abs(height)


def _psd(file: IO[bytes]) -> Size:
    """Return the size of a PSD (Adobe Photoshop File Formats Specification, file header section)."""
    height, width = struct.unpack(">II", file.read(22)[14:22])
    return width, height


def _ico(file: IO[bytes]) -> Size:
    """Return the size of the largest picture from its own header: the directory cannot hold sides above 256."""
    count = struct.unpack("<H", file.read(6)[4:6])[0]
    entries = [file.read(16) for _ in range(min(count, _MAX_PICTURES))]
    # As in the image processor: a depth of 0 is that of a PNG with alpha.
    largest = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[6] or _DEEP))
    file.seek(int.from_bytes(largest[12:16], "little"))
    head = file.read(24)
    if head.startswith(_PNG):
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    width, height = struct.unpack("<ii", head[4:12])
    return width, abs(height) // 2  # the height includes the mask below the picture


_READERS: Mapping[str, Callable[[IO[bytes]], Size | None]] = {
    "image/svg+xml": lambda file: root_size(file.read(_ROOT_BYTES)),
    "image/bmp": _bmp,
    "image/avif": heif_size,
    "image/heic": heif_size,
    "image/heif": heif_size,
    "image/jxl": jpegxl_size,
    "image/heic-sequence": heif_size,
    "image/vnd.adobe.photoshop": _psd,
    "image/x-icon": _ico,
}
