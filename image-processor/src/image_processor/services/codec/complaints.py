"""Collects warnings of libvips' loaders about lost pixels, and about the cause of a failure."""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pyvips

_MOST = 1000
_PREFIX = re.compile(r"(?:VIPS: |VipsJpeg: |tiff2vips: |vipspng: )+")
_OF_LOST_PIXELS = re.compile(
    # Bytes skipped before application data, tables or frame headers are padding: no pixel is lost.
    r"Corrupt JPEG data: (?!\d+ extraneous bytes before marker 0x(?:e.|fe|d[bcd]|c[0-35-9a-f])).*"
    r"|premature end of JPEG (?:image|file)|Inconsistent progression sequence.*|Premature end of JPEG file"
    # Messages of libtiff's CCITT and PackBits decoders.
    r"|Line length mismatch at line .*|Premature EO[LF] at line .*|Bad code word at line .*"
    r"|Uncompressed data \(not supported\) at line .*|Buffer overrun detected.*"
    r"|Discarding \d+ bytes to avoid buffer overrun|Terminating PackBitsDecode due to lack of data",
)
_OF_TILES = re.compile(r"tiff2vips: (?!source input: ).+")
"""Errors about the pixels of a TIFF; errors with "source input" concern tags."""
_CAUSES = re.compile(
    r"not enough data|IDAT: (?!Extra|Too much).*|\w{4}: (?:CRC error|unhandled critical chunk)|.* in IHDR"
    r"|Not enough image data|Unexpected end of GIF source data|PLTE: duplicate"
)
"""Warnings that name the cause of a failure whose own message does not."""


class _Warnings(logging.Handler):
    """Keeps libvips' warnings, which pyvips passes to ``logging``."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=_MOST)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(record.getMessage().splitlines())


_warnings = _Warnings()


def forget() -> None:
    """Drop all earlier warnings, which belong to another file."""
    # Add the handler each time: configuring the logs removes all handlers.
    logging.getLogger("pyvips").addHandler(_warnings)
    _warnings.lines.clear()
    pyvips.Error("")


@contextmanager
def unheard() -> Iterator[None]:
    """Drop the warnings and errors about what is decoded meanwhile, because it is not the file; keep earlier ones."""
    logger = logging.getLogger("pyvips")
    _warnings.lines.extend(pyvips.Error("").detail.splitlines())
    logger.addFilter(_drop)
    try:
        yield
    finally:
        logger.removeFilter(_drop)
        pyvips.Error("")


@contextmanager
def of_another_file() -> Iterator[None]:
    """Collect the warnings about another file; afterwards, continue with the earlier ones about the first."""
    kept = [*pyvips.Error("").detail.splitlines(), *_warnings.lines]
    _warnings.lines.clear()
    try:
        yield
    finally:
        pyvips.Error("")
        _warnings.lines.clear()
        _warnings.lines.extend(kept)


def _drop(_record: logging.LogRecord) -> bool:
    return False


def lost_pixels() -> str | None:
    """Return the first warning about lost pixels since :func:`forget`."""
    # Creating an Error reads and clears libvips' log, which holds errors that a loader ignored.
    return next((line for line in _lines(pyvips.Error("").detail) if _OF_LOST_PIXELS.fullmatch(line)), None)


def lost_tile(decode: Callable[[], object]) -> str | None:
    """Decode the tiles of a TIFF; return the first error about a tile.

    libvips paints an undecodable tile black and continues. Only its log records the error, and pyvips clears that log
    often, so all tiles must be decoded in one call.
    """
    pyvips.Error("")
    decode()
    errors = pyvips.Error("").detail.splitlines()
    return next((_PREFIX.sub("", line) for line in errors if _OF_TILES.fullmatch(line)), None)


def causes(detail: str) -> str:
    """Return the log of a failure, preceded by the warnings about its cause."""
    warned = [line for line in _lines("") if _CAUSES.fullmatch(line) or _OF_LOST_PIXELS.fullmatch(line)]
    return "\n".join([*warned, detail])


def _lines(logged: str) -> Sequence[str]:
    return [_PREFIX.sub("", line.strip()) for line in (*logged.splitlines(), *_warnings.lines)]
