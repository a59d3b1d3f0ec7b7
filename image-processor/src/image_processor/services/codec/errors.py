"""Why an image cannot be processed, in words for the person who asked."""

import re
from collections.abc import Iterable


class ImageError(Exception):
    """The image cannot be processed, now or ever; the message is for the person who asked."""


_WRITERS = re.compile(r"(vips2\w+|wbuffer_\w+|\w+save\w*): ?", re.IGNORECASE)
"""What libvips' writers begin their lines with; a writer also says that it failed because its source did."""
_READERS = re.compile(r"(\w+2vips|VipsJpeg|vipspng|vips_\w+|\w+load\w*|heif|webp|source input|image): ?", re.IGNORECASE)
_NOISE = re.compile(r".*(: bad seek to -?\d+|load error|write error)|system error: .*", re.IGNORECASE)
_PLUGIN = re.compile(r"built in: (?P<codec>\S+)|(?P<compression>[\w -]+) compression support is not configured")
_PLAIN = {
    "bad labq format": "its colors are CIELAB of a kind that is not supported",
    "samples out of range": "its samples are of a kind that is not supported",
    "required field 262 missing": "it does not say what its samples mean (PhotometricInterpretation is missing)",
    "samples_per_pixel not a whole number of bytes": "the bits of its samples make no whole bytes",
}
"""What libvips says in words of its own."""


def reason_of(detail: str) -> str:
    """Return why a source cannot be decoded, from libvips' log: the first line that names a cause."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    causes = [line for line in lines if not _NOISE.fullmatch(line)]
    read = _first(line for line in causes if not _WRITERS.match(line))
    if read is not None:
        return _worded(_READERS.sub("", read, count=1))
    written = _first(causes)
    if written is None:
        return "the decoder gave no reason"
    return _worded(_WRITERS.sub("", written, count=1).replace("unable to write to target", "its format refuses it"))


def failed_while_writing(detail: str) -> bool:
    """Return whether only a writer complains: what it read was whole."""
    causes = [line for line in map(str.strip, detail.splitlines()) if line and not _NOISE.fullmatch(line)]
    return bool(causes) and all(_WRITERS.match(line) for line in causes)


def _first(lines: Iterable[str]) -> str | None:
    return next(iter(lines), None)


def _worded(line: str) -> str:
    missing = _PLUGIN.search(line)
    if missing is not None:
        return f"its compression ({(missing['codec'] or missing['compression']).strip()}) is not supported"
    for cryptic, plain in _PLAIN.items():
        if line.startswith(cryptic):
            return plain
    # A path of the worker's machine is nothing to the person who asked.
    return line.split("/")[0].strip(" :'\"") or "the decoder gave no reason"
