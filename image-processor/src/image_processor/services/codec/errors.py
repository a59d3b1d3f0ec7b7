"""Error messages for users about images that cannot be processed."""

import errno
import os
import re
from collections.abc import Iterable

from service_kit.texts import sentence

from image_processor.services.causes import Cause


class ImageError(Exception):
    """The image cannot be processed, and a retry would not help; the message is for the user."""

    def __init__(self, detail: str, cause: Cause = Cause.IMAGE_UNREADABLE) -> None:
        super().__init__(detail)
        self.cause = cause


def high_dynamic_range(format_name: str) -> ImageError:
    """Return the error for colors that no conversion here brings to the range of sRGB."""
    detail = sentence(
        "The colors of this {format} have high dynamic range (PQ or HLG), which is not supported.", format=format_name
    )
    return ImageError(detail, Cause.IMAGE_UNSUPPORTED)


_LONGEST = 200
"""Maximum length of a reason, in characters."""
_WRITERS = re.compile(r"(vips2\w+|wbuffer_\w+|\w+save\w*): ?", re.IGNORECASE)
"""Prefixes in the log of libvips' writers; a writer also logs an error if its source failed."""
_READERS = re.compile(
    r"(?:(?:\w+2vips|VipsJpeg|vipspng|vips_\w+|\w+load\w*|heif|webp|source input|image): ?)+", re.IGNORECASE
)
_NOWHERE = re.compile(r",? (?:at )?(?:scanline|row|col) 4294967295\b")
"""The place -1: nothing was read yet."""
_NOISE = re.compile(r".*(: bad seek to -?\d+|load error|write error)|system error: .*", re.IGNORECASE)
_PLUGIN = re.compile(r"built in: (?P<codec>\S+)|(?P<compression>[\w -]+) compression support is not configured")
_SCHEME = re.compile(r"Compression scheme (?P<number>\d+) \w+ decoding is not implemented")
_SCHEMES = {
    **dict.fromkeys(("33003", "33004", "33005", "34712"), "JPEG 2000"),
    **dict.fromkeys(("50002", "52546"), "JPEG XL"),
    "34713": "Nikon NEF",
    "34933": "PNG",
    "34934": "JPEG XR",
    "34892": "lossy JPEG of DNG",
    "32767": "Sony ARW",
}
"""TIFF compressions that libtiff names only by number."""
_PATH = re.compile(r"(?:^|(?<=[\s\"'(:]))/\S+")
"""A path on the worker's machine, which is meaningless to the user."""
_PLAIN = {
    "not enough data": sentence("the file is truncated"),
    "Not enough image data": sentence("the file is truncated"),
    "CgBI: unhandled critical chunk": sentence("it is an iPhone-specific PNG (CgBI): save it as a standard PNG"),
    "Unsupported marker type": sentence("its kind of JPEG is not supported"),
    "Unsupported JPEG process": sentence("its kind of JPEG is not supported"),
    "Unsupported JPEG data precision": sentence("only JPEG with 8 bits per sample is supported"),
    "PLTE: duplicate": sentence("it has two palettes (PLTE)"),
    "IDAT: ": sentence("its compressed pixels are corrupt"),
    "libpng read error": sentence("its pixels are corrupt"),
    "unable to read pixels": sentence("its pixels are corrupt"),
    "WebPGetInfo() failed": sentence("its pixels, compressed as WebP, are corrupt"),
    "ZLib error": sentence("its compressed pixels are corrupt"),
    "unable to parse image": sentence("the file is truncated or corrupt"),
    "Unexpected end of GIF source data": sentence("the file is truncated"),
    "Read error": sentence("the file is truncated"),
    "Seek error accessing TIFF directory": sentence("the file is truncated or corrupt"),
    "Invalid input: Unexpected end of file": sentence("the file is truncated"),
    "premature end of JPEG image": sentence("the file is truncated"),
    "Corrupt JPEG data: premature end of data segment": sentence("the file is truncated or corrupt"),
    "image file is truncated": sentence("the file is truncated"),
    "broken data stream": sentence("its compressed pixels are corrupt"),
    "buffer is not large enough": sentence("the file is truncated or corrupt"),
    "no frames in GIF": sentence("it has no frame"),
    "bad labq format": sentence("its kind of CIELAB colors is not supported"),
    "tiled separate planes not supported": sentence("its tiles in separate planes are not supported"),
    "unsupported tiff image type": sentence("its kind of samples is not supported"),
    "not 1 bands": sentence("its kind of samples is not supported"),
    "samples out of range": sentence("its kind of samples is not supported"),
    "required field 262 missing": sentence(
        "the meaning of its samples is unknown (PhotometricInterpretation is missing)"
    ),
    "samples_per_pixel not a whole number of bytes": sentence("the bits of a pixel do not fill whole bytes"),
}
"""Plain descriptions of the messages of libvips and Pillow, by the start of the message."""


def reason_of(detail: str) -> str:
    """Return why a source cannot be decoded: the first line of libvips' log that names a cause."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    causes = [line for line in lines if not _NOISE.fullmatch(line)]
    read = _first(line for line in causes if not _WRITERS.match(line))
    if read is not None:
        return worded(_READERS.sub("", read, count=1))
    written = _first(causes)
    if written is None:
        return _NO_REASON
    said = _WRITERS.sub("", written, count=1)
    return sentence("its format does not allow it") if said == "unable to write to target" else worded(said)


TOO_LARGE_A_FILE = sentence(
    "The task needs a larger file on the worker's disk than limits.max_written_bytes allows. Make the image smaller "
    "first, or choose a format that compresses more."
)
_NO_REASON = sentence("the decoder gave no reason")
_FILE_TOO_LARGE = os.strerror(errno.EFBIG)


def hit_file_limit(detail: str) -> bool:
    """Return whether a temporary or result file of libvips exceeded the process's file size limit."""
    return _FILE_TOO_LARGE in detail


def failed_while_writing(detail: str) -> bool:
    """Return whether only a writer failed and reading the source succeeded."""
    causes = [line for line in map(str.strip, detail.splitlines()) if line and not _NOISE.fullmatch(line)]
    return bool(causes) and all(_WRITERS.match(line) for line in causes)


def _first(lines: Iterable[str]) -> str | None:
    return next(iter(lines), None)


def worded(line: str) -> str:
    """Return a decoder's message as a reason: in plain words where they are known, else shortened and without paths."""
    missing, scheme = _PLUGIN.search(line), _SCHEME.search(line)
    if scheme is not None:
        name = _SCHEMES.get(scheme["number"], f"number {scheme['number']}")
        return _not_read_in_tiff(name)
    if missing is not None and missing["codec"]:
        return sentence("its compression ({name}) is not supported", name=missing["codec"])
    if missing is not None:
        return _not_read_in_tiff(missing["compression"].strip())
    for cryptic, plain in _PLAIN.items():
        if line.startswith(cryptic):
            return plain
    if line.endswith(" in IHDR"):
        return sentence("its header is invalid")
    if line.endswith(": unhandled critical chunk"):
        return sentence("its chunk {part} is critical and of an unknown type", part=line[:4])
    if line.endswith(": CRC error"):
        return sentence("its chunk {part} is corrupt: the checksum is wrong", part=line[:4])
    return _shortened(_NOWHERE.sub("", line)) or _NO_REASON


def _not_read_in_tiff(compression: str) -> str:
    return sentence(
        "its compression ({name}) is not supported; a TIFF may use Deflate, LZW, PackBits, CCITT, JPEG or WebP",
        name=compression,
    )


def _shortened(line: str) -> str:
    line = " ".join(_PATH.split(line)[0].split()).strip(" .:'\"")
    if len(line) <= _LONGEST:
        return line
    words = line[: _LONGEST + 1].rpartition(" ")[0]
    return f"{words or line[:_LONGEST]} …"
