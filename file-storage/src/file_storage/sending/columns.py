"""Sends a long list of files as columns: JSON with an array for each property, compressed while it is generated."""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from operator import sub

from file_storage.services.listing import IndexRow

PART = 20_000
"""Number of ratios written at once."""
_MAX_RATIO = 65_535
_GZIP = 16 + zlib.MAX_WBITS


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
        texts = [str(number / 100) if number else "null" for number in ratios[start : start + PART]]
        yield f"{',' if start else ''}{','.join(texts)}".encode()
    yield f'],"total":{len(ratios)}}}'.encode()


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces compressed in the gzip format."""
    compressor = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        if data := compressor.compress(piece):
            yield data
    yield compressor.flush()


def _hundredths(width: int | None, height: int | None) -> int:
    """Return the ratio in hundredths; 0 if it is unknown."""
    if not width or not height:
        return 0
    return min(max(round(100 * width / height), 1), _MAX_RATIO)
