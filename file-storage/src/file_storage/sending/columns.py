"""Send a long list of files as columns: JSON with an array for each property, compressed while it is generated."""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Row

PART = 20_000
"""Ratios that are written at once."""
_LARGEST = 65_535
_GZIP = 16 + zlib.MAX_WBITS


def columns_of(parts: "Iterable[Sequence[Row[*tuple[object, ...]]]]") -> Iterator[bytes]:
    """Yield the JSON of an index: the files' ids, and each image's width divided by its height.

    The ratios are kept until the ids are sent, with two bytes for each file.

    :param parts: rows whose last columns are id, width and height.
    """
    ratios = array("H")
    yield b'{"ids":['
    for rows in parts:
        if rows:
            yield f"{',' if ratios else ''}{','.join([str(row[-3]) for row in rows])}".encode()
            ratios.extend([_hundredths(row[-2], row[-1]) for row in rows])
    yield b'],"ratios":['
    for start in range(0, len(ratios), PART):
        texts = [str(number / 100) if number else "null" for number in ratios[start : start + PART]]
        yield f"{',' if start else ''}{','.join(texts)}".encode()
    yield f'],"total":{len(ratios)}}}'.encode()


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces in the format of gzip."""
    compressor = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        if data := compressor.compress(piece):
            yield data
    yield compressor.flush()


def _hundredths(width: object, height: object) -> int:
    """Return the ratio in hundredths; 0 if it is unknown."""
    if not isinstance(width, int) or not isinstance(height, int):
        return 0
    return min(max(round(100 * width / height), 1), _LARGEST)
