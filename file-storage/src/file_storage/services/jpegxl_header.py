"""The size of a JPEG XL from the first bits of its codestream (ISO/IEC 18181-1, annex D; boxes: 18181-2)."""

from typing import IO

Size = tuple[int, int]

_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_CODESTREAM = b"\xff\x0a"
_MOST_BOXES = 100
_LONGEST_HEADER = 32
"""Bytes in which the size and the orientation are; they take some twelve."""

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_LENGTHS = (9, 13, 18, 30)
"""Bits of a side."""
_TURNED = (5, 6, 7, 8)


def jpegxl_type(head: bytes) -> str | None:
    """Return the media type (IANA's register) of a JPEG XL in a container or as a bare codestream."""
    return "image/jxl" if head.startswith((_SIGNATURE, _CODESTREAM)) else None


def jpegxl_size(file: IO[bytes]) -> Size | None:
    """Return the width and height of the image as it is shown."""
    bits = _Bits(_codestream(file)[len(_CODESTREAM) :])
    by_eights = bits.take(1) == 1
    height = _side(bits, by_eights=by_eights)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio]
        width = height * over // under
    else:
        width = _side(bits, by_eights=by_eights)
    is_default = bits.take(1) == 1
    has_extra_fields = not is_default and bits.take(1) == 1
    orientation = 1 + bits.take(3) if has_extra_fields else 1
    if bits.overrun:
        return None
    return (height, width) if orientation in _TURNED else (width, height)


class _Bits:
    """Takes numbers from bytes, the lowest bit first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")
        self._left = 8 * len(content)

    @property
    def overrun(self) -> bool:
        return self._left < 0

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return taken


def _side(bits: _Bits, *, by_eights: bool) -> int:
    if by_eights:
        return 8 * (1 + bits.take(5))
    return 1 + bits.take(_LENGTHS[bits.take(2)])


def _codestream(file: IO[bytes]) -> bytes:
    """Return how the codestream begins; it may be in one box or in numbered parts."""
    head = file.read(len(_SIGNATURE))
    if head.startswith(_CODESTREAM):
        return head + file.read(_LONGEST_HEADER - len(head))
    place, found = len(_SIGNATURE), b""
    for _ in range(_MOST_BOXES):
        file.seek(place)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        start = 8
        if length == 1:
            length, start = int.from_bytes(header[8:16], "big"), 16
        if name in (b"jxlc", b"jxlp"):
            start += 4 if name == b"jxlp" else 0
            file.seek(place + start)
            found += file.read(min(_LONGEST_HEADER, length - start) if length else _LONGEST_HEADER)
        if len(found) >= _LONGEST_HEADER or length < start or name == b"jxlc":
            break
        place += length
    return found
