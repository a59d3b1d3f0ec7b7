"""Reads the size of a JPEG XL from the start of its codestream (ISO/IEC 18181-1, annex D; boxes: 18181-2)."""

from typing import IO

Size = tuple[int, int]

_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_CODESTREAM = b"\xff\x0a"
_MAX_BOXES = 100
_HEADER_BYTES = 32
"""Bytes read of the codestream; the size and the orientation take about twelve."""

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIDE_BITS = (9, 13, 18, 30)
"""Possible lengths of a side's encoding, in bits."""
_ROTATED = (5, 6, 7, 8)
"""Orientations that swap the displayed width and height."""


def jpegxl_type(head: bytes) -> str | None:
    """Return the media type (IANA's registry) of a JPEG XL in a container or as a bare codestream."""
    return "image/jxl" if head.startswith((_SIGNATURE, _CODESTREAM)) else None


def jpegxl_size(file: IO[bytes]) -> Size | None:
    """Return the width and height of the image as displayed."""
    bits = _Bits(_codestream(file)[len(_CODESTREAM) :])
    is_small = bits.take(1) == 1
    height = _side(bits, is_small=is_small)
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = _RATIOS[ratio]
        width = height * numerator // denominator
    else:
        width = _side(bits, is_small=is_small)
    is_default = bits.take(1) == 1
    has_extra_fields = not is_default and bits.take(1) == 1
    orientation = 1 + bits.take(3) if has_extra_fields else 1
    if bits.overrun:
        return None
    return (height, width) if orientation in _ROTATED else (width, height)


class _Bits:
    """Reads numbers from bytes, lowest bit first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")
        self._remaining_bits = 8 * len(content)

    @property
    def overrun(self) -> bool:
        return self._remaining_bits < 0

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._remaining_bits -= count
        return taken


def _side(bits: _Bits, *, is_small: bool) -> int:
    """Read a side; the sides of a small image are multiples of 8."""
    if is_small:
        return 8 * (1 + bits.take(5))
    return 1 + bits.take(_SIDE_BITS[bits.take(2)])


def _codestream(file: IO[bytes]) -> bytes:
    """Return the start of the codestream, which may be in one box or in numbered parts."""
    head = file.read(len(_SIGNATURE))
    if head.startswith(_CODESTREAM):
        return head + file.read(_HEADER_BYTES - len(head))
    offset, found = len(_SIGNATURE), b""
    for _ in range(_MAX_BOXES):
        file.seek(offset)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        start = 8
        if length == 1:
            length, start = int.from_bytes(header[8:16], "big"), 16
        if name in (b"jxlc", b"jxlp"):
            start += 4 if name == b"jxlp" else 0
            file.seek(offset + start)
            found += file.read(min(_HEADER_BYTES, length - start) if length else _HEADER_BYTES)
        if len(found) >= _HEADER_BYTES or length < start or name == b"jxlc":
            break
        offset += length
    return found
