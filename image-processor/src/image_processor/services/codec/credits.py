"""Finds an image's author and copyright in IPTC or XMP if EXIF does not have them."""

from typing import NamedTuple

import pyvips

from image_processor.services.codec.descriptions import iptc_of, xmp_texts
from image_processor.services.codec.exif_block import ARTIST_FIELD, COPYRIGHT_FIELD, with_credits_alone
from image_processor.services.codec.tiff import ARTIST, COPYRIGHT

_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
_CHARACTER_SET = (1, 90)
_UTF_8 = b"\x1b%G"
_BY_LINE, _COPYRIGHT_NOTICE = (2, 80), (2, 116)
_BETWEEN_AUTHORS = "; "
_LONGEST = 8_000
"""Maximum length of a name or notice, in characters."""


class _Credits(NamedTuple):
    artist: str
    copyright: str


def with_credits(image: pyvips.Image) -> pyvips.Image:
    """Return the image with the EXIF fields Artist and Copyright filled in, if missing, from IPTC or else from XMP.

    The order of the sources, and of the authors within a value, is that of the Metadata Working Group (Guidelines for
    Handling Image Metadata 2.0, 5.3 and 5.4).
    """
    lacks_artist, lacks_copyright = not image.get_typeof(ARTIST_FIELD), not image.get_typeof(COPYRIGHT_FIELD)
    if not (lacks_artist or lacks_copyright):
        return image
    iptc, xmp = _of_iptc(image), _of_xmp(image)
    found = {
        ARTIST: (iptc.artist or xmp.artist) if lacks_artist else "",
        COPYRIGHT: (iptc.copyright or xmp.copyright) if lacks_copyright else "",
    }
    added = {tag: text[:_LONGEST].encode() for tag, text in found.items() if text}
    return with_credits_alone(image, added) if added else image


def _of_iptc(image: pyvips.Image) -> _Credits:
    found = dict[tuple[int, int], list[bytes]]()
    for record, number, value in iptc_of(image):
        found.setdefault((record, number), []).append(value)
    is_utf_8 = _UTF_8 in found.get(_CHARACTER_SET, [])
    authors, notices = (
        [_text(value, is_utf_8=is_utf_8) for value in found.get(kind, [])] for kind in (_BY_LINE, _COPYRIGHT_NOTICE)
    )
    return _Credits(_BETWEEN_AUTHORS.join(filter(None, authors)), next(filter(None, notices), ""))


def _text(value: bytes, *, is_utf_8: bool) -> str:
    """Decode an IPTC text; most programs that do not declare its character set write UTF-8 or Latin-1."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("utf-8" if is_utf_8 else "latin-1", "replace")
    return text.strip("\0 \r\n\t")


def _of_xmp(image: pyvips.Image) -> _Credits:
    authors, notices = xmp_texts(image, _DUBLIN_CORE, ["creator", "rights"])
    return _Credits(_BETWEEN_AUTHORS.join(authors), next(iter(notices), ""))
