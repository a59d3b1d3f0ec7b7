"""Images with EXIF that programs interpret differently; both services must apply the same orientation.

Each table has functions that return the blocks of EXIF in a file, and whether they turn the image by 90 degrees.
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

from tests.support.images import photo

WIDTH, HEIGHT = 30, 20
MARK = b"Exif\0\0"
MAX_EXIF_BYTES = 8 * 1024 * 1024
"""Maximum size of a chunk that libvips reads."""


def exif(orientation: int, length: int = 0) -> bytes:
    """Return EXIF with an orientation (CIPA DC-008), followed by zeros up to this length."""
    block = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, orientation, 0)
    return block.ljust(length, b"\0")


Blocks = Callable[[], Sequence[bytes]]

PLAIN_IN_PNG: Mapping[str, tuple[Blocks, bool]] = {
    "the first of two": (lambda: [exif(6), exif(1)], True),
    "after nothing": (lambda: [b"", exif(6)], True),
    "after bytes of another kind": (lambda: [b"garbage", exif(6)], True),
    "after half of a mark": (lambda: [b"II", exif(6)], True),
    "after a mark alone": (lambda: [b"II*\0", exif(6)], False),
    "a longer one than a megabyte": (lambda: [exif(6, 1_100_000)], True),
    "the longest": (lambda: [exif(6, MAX_EXIF_BYTES)], True),
    "too long": (lambda: [exif(6, MAX_EXIF_BYTES + 1)], False),
    "after one that is too long": (lambda: [exif(1, MAX_EXIF_BYTES + 1), exif(6)], False),
}
"""Chunks as the standard wants them; libvips decides."""
MARKED_IN_PNG: Mapping[str, tuple[Blocks, bool]] = {
    "before a plain one": (lambda: [MARK + exif(1), exif(6)], True),
    "before a plain one that does not turn": (lambda: [MARK + exif(6), exif(1)], False),
    "after a plain one": (lambda: [exif(6), MARK + exif(1)], True),
    "after bytes of another kind": (lambda: [b"garbage", MARK + exif(6)], True),
    "the first of two": (lambda: [MARK + exif(6), MARK + exif(1)], True),
    "after a damaged one": (lambda: [MARK + b"garbage", MARK + exif(6)], False),
    "the longest": (lambda: [MARK + exif(6, MAX_EXIF_BYTES - len(MARK))], True),
    "too long": (lambda: [MARK + exif(6, MAX_EXIF_BYTES)], False),
    "after one that is too long": (lambda: [MARK + exif(1, MAX_EXIF_BYTES), MARK + exif(6)], False),
    "after one that is too long and plain": (lambda: [exif(1, MAX_EXIF_BYTES + 1), MARK + exif(6)], False),
}
"""Chunks that begin as in a JPEG."""
IN_JPEG: Mapping[str, tuple[Blocks, bool]] = {
    "the first of two": (lambda: [MARK + exif(6), MARK + exif(1)], True),
    "after one with another filler": (lambda: [b"Exif\0\xff" + exif(1), MARK + exif(6)], False),
    "with another filler": (lambda: [b"Exif\0\xff" + exif(6)], False),
    "after a name with a byte": (lambda: [b"Exif\0", MARK + exif(6)], False),
    "after a name": (lambda: [b"Exif", MARK + exif(6)], True),
    "after another name": (lambda: [b"exif\0\0" + exif(1), MARK + exif(6)], True),
    "after nothing": (lambda: [MARK, MARK + exif(6)], False),
}


def png_with(blocks: Sequence[bytes], before: int = 0) -> bytes:
    """Return a PNG with these EXIF chunks.

    :param before: number of other chunks before them.
    """
    content = photo(WIDTH, HEIGHT)
    place = content.index(b"IDAT") - 4
    chunks = [_chunk(b"prIv", b"")] * before + [_chunk(b"eXIf", block) for block in blocks]
    return content[:place] + b"".join(chunks) + content[place:]


def jpeg_with(blocks: Sequence[bytes]) -> bytes:
    """Return a JPEG with these APP1 segments."""
    content = photo(WIDTH, HEIGHT, format="JPEG")
    segments = (struct.pack(">BBH", 0xFF, 0xE1, len(block) + 2) + block for block in blocks)
    return content[:2] + b"".join(segments) + content[2:]


def size_of(is_turned: bool) -> tuple[int, int]:
    """Return the displayed width and height."""
    return (HEIGHT, WIDTH) if is_turned else (WIDTH, HEIGHT)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
