"""Reads PNG chunks that libvips does not expose (W3C PNG, third edition)."""

import struct
from collections.abc import Mapping
from pathlib import Path

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 1000
_LONGEST = 1000
"""Maximum size in bytes of a returned chunk; the chunks in use are far shorter."""


def chunks_before_pixels(source: Path) -> Mapping[bytes, bytes]:
    """Return the short chunks before the first IDAT by name; the first one if a name repeats."""
    found: dict[bytes, bytes] = {}
    with source.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            return found
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            if len(head) < 8 or head[4:] == b"IDAT":
                break
            (length,) = struct.unpack(">I", head[:4])
            content = file.read(length) if length <= _LONGEST else b""
            found.setdefault(head[4:], content)
            file.seek(4 if content or not length else length + 4, 1)
    return found


def frames_of_animation(source: Path) -> int:
    """Return the number of frames of an APNG; 1 for any other PNG."""
    control = chunks_before_pixels(source).get(b"acTL", b"")
    frames = int(struct.unpack(">I", control[:4])[0]) if len(control) == 8 else 1
    # Ignore a number that the standard does not allow (PNG, third edition, 7.1).
    return frames if 1 <= frames < 2**31 else 1
