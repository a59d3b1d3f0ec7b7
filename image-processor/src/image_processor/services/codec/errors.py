"""Reasons why an image cannot be processed, in words for users."""

import errno
import os
import re
from collections.abc import Iterable


class ImageError(Exception):
    """The image cannot be processed, and a retry would not help; the message is for the user."""


_LONGEST = 200
"""Characters of a reason."""
_WRITERS = re.compile(r"(vips2\w+|wbuffer_\w+|\w+save\w*): ?", re.IGNORECASE)
"""Prefixes of the log lines of libvips' writers; a writer also reports that it failed because its source did."""
_READERS = re.compile(r"(\w+2vips|VipsJpeg|vipspng|vips_\w+|\w+load\w*|heif|webp|source input|image): ?", re.IGNORECASE)
_NOISE = re.compile(r".*(: bad seek to -?\d+|load error|write error)|system error: .*", re.IGNORECASE)
_PLUGIN = re.compile(r"built in: (?P<codec>\S+)|(?P<compression>[\w -]+) compression support is not configured")
_SCHEME = re.compile(r"Compression scheme (?P<number>\d+) \w+ decoding is not implemented")
_SCHEMES = {
    **dict.fromkeys(("33003", "33004", "33005", "34712"), "JPEG 2000"),
    **dict.fromkeys(("50002", "52546"), "JPEG XL"),
    "34713": "Nikon NEF",
    "34892": "lossy JPEG of DNG",
    "32767": "Sony ARW",
}
"""TIFF compressions that libtiff reports only by number."""
_READ_COMPRESSIONS = "in a TIFF Deflate, LZW, PackBits, CCITT, JPEG and WebP are"
_PATH = re.compile(r"(?:^|(?<=[\s\"'(:]))/\S+")
"""A path on the worker's machine, which means nothing to the user."""
_PLAIN = {
    "not enough data": "the file is cut short",
    "IDAT: ": "its compressed pixels are corrupt",
    "libpng read error": "its pixels are corrupt",
    "unable to read pixels": "its pixels are corrupt",
    "WebPGetInfo() failed": "its pixels, compressed as WebP, are corrupt",
    "ZLib error": "its compressed pixels are corrupt",
    "unable to parse image": "the file is cut short or corrupt",
    "Unexpected end of GIF source data": "the file is cut short",
    "no frames in GIF": "it has no frame",
    "bad labq format": "its colors are CIELAB of a kind that is not supported",
    "samples out of range": "its samples are of a kind that is not supported",
    "required field 262 missing": "it does not say what its samples mean (PhotometricInterpretation is missing)",
    "samples_per_pixel not a whole number of bytes": "the bits of a pixel do not fill whole bytes",
}
"""Plain words for libvips' messages, by how these begin."""


def reason_of(detail: str) -> str:
    """Return why a source cannot be decoded: the first line of libvips' log that names a cause."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    causes = [line for line in lines if not _NOISE.fullmatch(line)]
    read = _first(line for line in causes if not _WRITERS.match(line))
    if read is not None:
        return _worded(_READERS.sub("", read, count=1))
    written = _first(causes)
    if written is None:
        return "the decoder gave no reason"
    return _worded(_WRITERS.sub("", written, count=1).replace("unable to write to target", "its format refuses it"))


TOO_LARGE_A_FILE = (
    "The task needs a larger file on the worker's disk than the limit of the worker allows (limits.max_written_bytes)."
    " Make the image smaller first, or choose a format that compresses more."
)
_FILE_TOO_LARGE = os.strerror(errno.EFBIG)


def hit_file_limit(detail: str) -> bool:
    """Return whether a file of libvips, temporary or the result, would exceed what the process may write."""
    return _FILE_TOO_LARGE in detail


def failed_while_writing(detail: str) -> bool:
    """Return whether only a writer failed, not the reader of the source."""
    causes = [line for line in map(str.strip, detail.splitlines()) if line and not _NOISE.fullmatch(line)]
    return bool(causes) and all(_WRITERS.match(line) for line in causes)


def _first(lines: Iterable[str]) -> str | None:
    return next(iter(lines), None)


def _worded(line: str) -> str:
    missing, scheme = _PLUGIN.search(line), _SCHEME.search(line)
    if scheme is not None:
        name = _SCHEMES.get(scheme["number"], f"number {scheme['number']}")
        return f"its compression ({name}) is not supported; {_READ_COMPRESSIONS}"
    if missing is not None and missing["codec"]:
        return f"its compression ({missing['codec']}) is not supported"
    if missing is not None:
        return f"its compression ({missing['compression'].strip()}) is not supported; {_READ_COMPRESSIONS}"
    for cryptic, plain in _PLAIN.items():
        if line.startswith(cryptic):
            return plain
    if line.endswith(": CRC error"):
        return f"its part {line[:4]} is corrupt: the checksum is wrong"
    # 4294967295 is -1: no scanline was read yet.
    return shortened(line.replace(" at scanline 4294967295", "")) or "the decoder gave no reason"


def shortened(line: str) -> str:
    """Return a decoder's message without paths, shortened between words."""
    line = " ".join(_PATH.split(line)[0].split()).strip(" .:'\"")
    if len(line) <= _LONGEST:
        return line
    words = line[: _LONGEST + 1].rpartition(" ")[0]
    return f"{words or line[:_LONGEST]} …"
