"""What libvips' loaders say while they go on: of pixels that are lost, and why they fail in the end."""

import logging
import re
from collections import deque
from collections.abc import Sequence

import pyvips

_MOST = 1000
_PREFIX = re.compile(r"(?:VIPS: |VipsJpeg: |tiff2vips: |vipspng: )+")
_OF_LOST_PIXELS = re.compile(
    # Bytes before the first scan are padding, and cost nothing: before application data, tables and frame headers.
    r"Corrupt JPEG data: (?!\d+ extraneous bytes before marker 0x(?:e.|fe|d[bcd]|c[0-35-9a-f])).*"
    r"|premature end of JPEG (?:image|file)|Inconsistent progression sequence.*|Premature end of JPEG file"
    # libtiff's decoder of CCITT; that of PackBits.
    r"|Line length mismatch at line .*|Premature EO[LF] at line .*|Bad code word at line .*"
    r"|Uncompressed data \(not supported\) at line .*|Buffer overrun detected.*"
    r"|Discarding \d+ bytes to avoid buffer overrun|Terminating PackBitsDecode due to lack of data",
)
_CAUSES = re.compile(r"not enough data|IDAT: (?!Extra|Too much).*|\w{4}: CRC error|Unexpected end of GIF source data")
"""What is said of a failure that is reported in words without a cause."""


class _Heard(logging.Handler):
    """Keeps what libvips warns of; pyvips hands it to ``logging``."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=_MOST)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(record.getMessage().splitlines())


_heard = _Heard()


def forget() -> None:
    """Begin anew: what was said so far was of another file."""
    # Once more each time: whoever sets logging up takes away the handlers that there are.
    logging.getLogger("pyvips").addHandler(_heard)
    _heard.lines.clear()
    pyvips.Error("")


def lost_pixels() -> str | None:
    """Return the first complaint since :func:`forget` that tells of lost pixels."""
    # An error reads libvips' log and empties it. In it is what a loader reports and then passes over.
    return next((line for line in _lines(pyvips.Error("").detail) if _OF_LOST_PIXELS.fullmatch(line)), None)


def causes(detail: str) -> str:
    """Return the log of a failure, with what was said of its cause before it."""
    said = [line for line in _lines("") if _CAUSES.fullmatch(line) or _OF_LOST_PIXELS.fullmatch(line)]
    return "\n".join([*said, detail])


def _lines(logged: str) -> Sequence[str]:
    return [_PREFIX.sub("", line.strip()) for line in (*logged.splitlines(), *_heard.lines)]
