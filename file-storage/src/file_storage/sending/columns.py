"""Sends a long list of files as columns: JSON with an array for each property."""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import sub

import deflate

from file_storage.services.listing import IndexRow

PART = 20_000
"""Number of ratios written at once."""
_MAX_RATIO = 65_535
BUFFERED = 16 * 2**20
"""Number of bytes buffered to compress them together: the index of about a million files."""
_SHAPES = 4096
"""Number of shapes remembered: the photographs of one person have few."""
_GZIP = 16 + zlib.MAX_WBITS
_NEARLY_OPTIMAL = 10
"""libdeflate's first level that looks for the shortest sequence of matches.

Numbers that count up take a third fewer bytes than with zlib.
"""


def columns_of(parts: Iterable[Sequence[IndexRow]], *, as_deltas: bool = False) -> Iterator[bytes]:
    """Yield the JSON of an index: the files' ids, and each image's width divided by its height.

    The ratios are buffered until all ids are sent, with two bytes per file.

    :param parts: rows of files.
    :param as_deltas: send the difference from the previous id instead of each id; in id order, these take few bytes.
    """
    ratios = array("H")
    last = 0
    yield b'{"deltas":[' if as_deltas else b'{"ids":['
    for rows in parts:
        if rows:
            ids = [row[0] for row in rows]
            numbers = map(sub, ids, [last, *ids]) if as_deltas else ids
            last = ids[-1]
            yield f"{',' if ratios else ''}{','.join(map(str, numbers))}".encode()
            ratios.extend([_hundredths(row[1], row[2]) for row in rows])
    yield b'],"ratios":['
    for start in range(0, len(ratios), PART):
        yield f"{',' if start else ''}{','.join(map(_as_json, ratios[start : start + PART]))}".encode()
    yield f'],"total":{len(ratios)}}}'.encode()


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces compressed in the gzip format.

    The shortest form needs the whole text, which is buffered with about 14 bytes per file. A text of more than
    :data:`BUFFERED` bytes is compressed while it is generated, and has about 40% more bytes.
    """
    left, text = iter(pieces), bytearray()
    for piece in left:
        text += piece
        if len(text) > BUFFERED:
            yield from _streamed(chain([text], left))
            return
    yield bytes(deflate.gzip_compress(text, _NEARLY_OPTIMAL))


def _streamed(pieces: Iterable[bytes | bytearray]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        if data := compressor.compress(piece):
            yield data
    yield compressor.flush()


@lru_cache(_SHAPES)
def _hundredths(width: int | None, height: int | None) -> int:
    """Return the ratio in hundredths; 0 if it is unknown."""
    if not width or not height:
        return 0
    return min(max(round(100 * width / height), 1), _MAX_RATIO)


@lru_cache(_SHAPES)
def _as_json(hundredths: int) -> str:
    return str(hundredths / 100) if hundredths else "null"
