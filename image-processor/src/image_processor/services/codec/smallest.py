"""Writes the smallest of several encodings of an image, with as few encodings of the whole image as possible."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pyvips

from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.search import Encoder

_HOPELESS = 4
"""How many times larger than the smallest file a PNG is if a lossless WebP cannot be the smallest either.

A lossless WebP takes as long as all other formats together. Of drawings, text and gradients it is often the smallest
file; their PNG is then at most 2.6 times as large as the smallest lossy file. That of a photograph, sharp, enlarged or
blurred, is 10 to 35 times as large.
"""

_WORTH = 1.5
"""How many times larger than a lossy file a lossless one may be and still be sent, because it blurs no letters.

Drawings and text have 0.1 to 1.2 times the bytes of the smallest lossy file; a page with text and a photograph may have
1.5 times, a blurred or enlarged photograph 8 to 35 times.
"""


def write_smallest(encodings: Sequence[Encoder], failures: Sequence[Exception], result: Path) -> str:
    """Write the smallest file, or a lossless one that is not much larger, and return the name of its format.

    For a large image, sizes are estimated from a sample. Because the sample may miss the only photograph on a page, a
    lossless file of it is compared with a lossy one. Formats that cannot hold the image are skipped.

    :param failures: the errors of formats that cannot hold the image.
    """
    writer = _Writer(failures)
    if encodings and all(encoding.is_sampled for encoding in encodings):
        _write_promising(_sizes(encodings, Encoder.expected_bytes), writer)
    else:
        _sizes(encodings, writer.written)
    smallest = writer.smallest(encodings)
    smallest.path.rename(result)
    return smallest.format_name


def _sizes(encodings: Sequence[Encoder], size_of: Callable[[Encoder], float]) -> dict[Encoder, float]:
    """Return the size of each file; a lossless WebP is left out if it cannot be the smallest file.

    :param size_of: ``math.inf`` if the image cannot be encoded in that way.
    """
    late = [encoding for encoding in encodings if _is_slow(encoding, encodings)]
    sizes = {encoding: size_of(encoding) for encoding in encodings if encoding not in late}
    png = min((size for encoding, size in sizes.items() if encoding.format_name == "png"), default=math.inf)
    if png <= _HOPELESS * min(sizes.values(), default=math.inf):
        sizes |= {encoding: size_of(encoding) for encoding in late}
    return sizes


def _is_slow(encoding: Encoder, encodings: Sequence[Encoder]) -> bool:
    """Return whether this takes much longer than the others: a lossless WebP among files of known quality."""
    if any(other.is_measured or other.max_bytes is not None for other in encodings):
        return False  # a search takes longer
    is_lossless_webp = encoding.format_name == "webp" and encoding.is_lossless
    return is_lossless_webp and any(other.format_name == "png" for other in encodings)


def _write_promising(estimates: dict[Encoder, float], writer: "_Writer") -> None:
    """Write the file that is probably the smallest; also the other kind of the two, lossless and lossy, if in doubt."""
    hopeless = _HOPELESS * min(estimates.values())
    for encoding in sorted(estimates, key=lambda encoding: estimates[encoding]):
        is_in_doubt = not encoding.is_lossless or estimates[encoding] <= hopeless
        kinds = {made.is_lossless for made in writer.made}
        if not kinds or (is_in_doubt and encoding.is_lossless not in kinds):
            writer.written(encoding)


class _Writer:
    """Writes files and remembers which ones exist."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.made = dict[Encoder, int]()
        self._failures = list(failures)

    def written(self, encoding: Encoder) -> float:
        """Write the file and return its size."""
        try:
            encoding.write()
        except (ImageError, pyvips.Error) as error:
            encoding.path.unlink(missing_ok=True)
            self._failures.append(error)
            return math.inf
        self.made[encoding] = encoding.path.stat().st_size
        return self.made[encoding]

    def smallest(self, encodings: Sequence[Encoder]) -> Encoder:
        """Return the smallest file, or a lossless one that is not much larger, and remove the others.

        A limit of bytes also applies to the formats that have none of their own. If no quality reaches an SSIM, the
        caller decides, because a file without loss may be ten times as large as one of the highest quality requested.

        :raises ImageError: none is within the limit.
        """
        limit = min((encoding.max_bytes for encoding in encodings if encoding.max_bytes is not None), default=math.inf)
        within = [encoding for encoding, size in self.made.items() if size <= limit]
        if any(encoding.is_measured for encoding in encodings) and not any(made.is_measured for made in within):
            within = []
        smallest = min(within, key=self._weight, default=None)
        for encoding in self.made:
            if encoding is not smallest:
                encoding.path.unlink()
        if smallest is None:
            raise self._failures[0]
        return smallest

    def _weight(self, encoding: Encoder) -> float:
        return self.made[encoding] / (_WORTH if encoding.is_lossless else 1)
