"""Images for tests, made with Pillow and NumPy."""

import io
import struct
import zlib
from functools import lru_cache

import numpy
from PIL import Image

FALLBACK_SIZE = (77, 55)
"""The size of the image that the stack `tuned` renders in place of a missing file."""


def photo(width: int = 64, height: int = 48, mode: str = "RGB", format: str = "PNG", **options: object) -> bytes:
    """Return a smooth picture without symmetry."""
    return encoded(_smooth(width, height, mode), format, **options) if options else _photo(width, height, mode, format)


# Thousands of tests need the same few pictures.
@lru_cache(64)
def _photo(width: int, height: int, mode: str, format: str) -> bytes:
    return encoded(_smooth(width, height, mode), format)


def _smooth(width: int, height: int, mode: str) -> Image.Image:
    y, x = numpy.mgrid[0:height, 0:width]
    bands = [x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + 2 * y) % 256]
    return Image.fromarray(numpy.dstack(bands).astype("uint8"), "RGB").convert(mode)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def pixels(content: bytes) -> numpy.ndarray:
    return numpy.asarray(opened(content)).astype(int)


def png_bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """Return a small PNG file of a huge black image (1-bit grayscale)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    compressor = zlib.compressobj(9)
    line = bytes(1 + width // 8)
    rows = b"".join(compressor.compress(line) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
