"""Decodes run-length encoded BMP: Pillow drops empty rows and refuses pictures that end early on purpose."""

from PIL.ImageFile import ImageFile
from service_kit.texts import sentence

from image_processor.services.readers.opened import DamagedError
from image_processor.services.readers.pillow import Image

_RLE_8, _RLE_4 = 1, 2
"""Values of biCompression."""
_HEIGHT = slice(22, 26)
"""The bytes of biHeight, which is negative if the first row is the top one."""
_END_OF_LINE, _END_OF_BITMAP, _DELTA = 0, 1, 2
"""Codes after a zero (Windows GDI, "Bitmap Compression")."""


def is_run_length_encoded(image: ImageFile) -> bool:
    """Return whether Pillow's image of a BMP is run-length encoded."""
    return image.info.get("compression") in (_RLE_8, _RLE_4)


def unpacked(image: ImageFile, content: bytes) -> Image.Image:
    """Return the decoded image, of which Pillow has read the header. Skipped pixels have the first color.

    :param content: the bytes of the file.
    :raises DamagedError: the bytes end before the picture does.
    """
    [tile] = image.tile
    indexes = _indexes(content[tile.offset :], *image.size, half=image.info["compression"] == _RLE_4)
    decoded = Image.frombytes("L", image.size, bytes(indexes))
    is_top_down = int.from_bytes(content[_HEIGHT], "little", signed=True) < 0
    decoded = decoded if is_top_down else decoded.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if image.mode == "1":
        return decoded.point(lambda index: 255 * (index > 0))
    if image.palette is not None:
        decoded.putpalette(image.palette.palette, image.palette.rawmode or "RGB")
    return decoded


def _indexes(content: bytes, width: int, height: int, *, half: bool) -> bytearray:
    """Return the color numbers of the pixels, the first row first; those of skipped pixels are 0.

    A run continues in the next row, as in ImageMagick and OpenCV, until an end of line.

    :param half: a byte contains two color numbers of four bits.
    """
    indexes = bytearray(width * height)
    read = row = place = 0
    while place < len(indexes):
        count, value = _bytes(content, read, 2)
        read += 2
        if count:
            _paint(indexes, place, (_halves(value) if half else bytes([value, value])) * 128, count)
            place += count
        elif value == _END_OF_LINE:
            row += 1
            place = row * width
        elif value == _END_OF_BITMAP:
            break
        elif value == _DELTA:
            right, up = _bytes(content, read, 2)
            read += 2
            row += up
            place += right + up * width
        else:
            stored = _bytes(content, read, (value + 1) // 2 if half else value)
            read += len(stored) + len(stored) % 2
            _paint(indexes, place, b"".join(map(_halves, stored)) if half else stored, value)
            place += value
    return indexes


def _bytes(content: bytes, start: int, count: int) -> bytes:
    found = content[start : start + count]
    if len(found) < count:
        raise DamagedError(sentence("the file is truncated"))
    return found


def _halves(value: int) -> bytes:
    return bytes([value >> 4, value & 15])


def _paint(indexes: bytearray, place: int, colors: bytes, count: int) -> None:
    count = min(count, len(indexes) - place)
    indexes[place : place + count] = colors[:count]
