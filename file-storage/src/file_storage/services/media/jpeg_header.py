"""Reduces a JPEG to the segments that determine its displayed size: Pillow refuses some that other programs skip."""

from typing import IO

SIGNATURE = b"\xff\xd8"
_EXIF = b"Exif"
"""First bytes of EXIF in libvips, which then reads no other, although two zeros must follow."""
_EXIF_MARKER, _SCAN = 0xE1, 0xDA
_END, _EMPTY_SCAN = b"\xff\xd9", b"\xff\xda\0\2"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of the segment with the width and height (ISO/IEC 10918-1, B.1.1.3)."""
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9), 0xFF}
_MAX_PARTS = 10_000
"""Maximum number of segments, and of bytes between them."""


def bare_jpeg(file: IO[bytes]) -> bytes:
    """Return the JPEG's first EXIF and the header of its frame, with no pixels."""
    exif = frame = b""
    file.seek(len(SIGNATURE))
    for _ in range(_MAX_PARTS):
        head = file.read(4)
        if len(head) < 4 or head.startswith(_END):
            break
        marker = head[1]
        if head[0] != 0xFF or marker in _WITHOUT_LENGTH:  # libjpeg skips what is not a segment
            file.seek(1 - len(head), 1)
            continue
        if marker == _SCAN:
            return SIGNATURE + exif + frame + _EMPTY_SCAN
        count = max(0, int.from_bytes(head[2:], "big") - 2)
        if marker == _EXIF_MARKER and not exif:
            content = file.read(count)
            exif = head + content if content.startswith(_EXIF) and content != _EXIF else b""
        elif marker in _FRAMES and not frame:
            frame = head + file.read(count)
        else:
            file.seek(count, 1)
    return SIGNATURE + exif + frame
