"""Makes hostile SVGs harmless: no references to other files, no huge embedded pictures, no deep nesting."""

import base64
import binascii
import io
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import Element

from service_kit.texts import counted, sentence

from image_processor.services.readers.opened import DamagedError
from image_processor.services.readers.pillow import Image

_DEEPEST = 100
"""Maximum levels of elements including the elements they refer to. Drawings have about ten; resvg recurses for each."""

_MOST_EMBEDDED = 100_000_000
"""Maximum number of pixels of all embedded pictures together."""
_EMBEDDED = re.compile(r"data:image/(?:png|jpe?g|gif|webp)[^,]*?(;base64)?,(.*)", re.IGNORECASE | re.DOTALL)
_REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")\s]+)")


def keep_harmless(root: Element) -> None:
    """Remove all references to other files from the SVG.

    :raises DamagedError: the SVG is nested too deeply, or its embedded pictures have too many pixels.
    """
    embedded = 0
    for element in root.iter():
        for name, value in list(element.items()):
            if name.rpartition("}")[2] == "href" and not value.strip().startswith("#"):
                picture = _embedded(value.strip())
                if picture is None:
                    del element.attrib[name]
                else:
                    embedded += _pixels_in(picture)
    if embedded > _MOST_EMBEDDED:
        raise DamagedError(
            counted(
                "the pictures in the SVG have {embedded:,} pixel; the limit is {limit:,}",
                "the pictures in the SVG have {embedded:,} pixels; the limit is {limit:,}",
                "embedded",
                embedded=embedded,
                limit=_MOST_EMBEDDED,
            )
        )
    _check_depth(root)


def _embedded(address: str) -> bytes | None:
    """Return the raster picture in a ``data:`` URL; None for an SVG, because these rules would not apply to it."""
    found = _EMBEDDED.fullmatch(address)
    if found is None:
        return None
    try:
        return base64.b64decode(found[2]) if found[1] else unquote_to_bytes(found[2])
    except binascii.Error:
        return None


def _pixels_in(picture: bytes) -> int:
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG", "JPEG", "GIF", "WEBP"]) as image:
            return image.width * image.height
    except OSError as error:
        raise DamagedError(sentence("a picture in the SVG is damaged")) from error


def _check_depth(root: Element) -> None:
    """Limit the depth of elements and references by a depth-first walk; skip cycles, as resvg does."""
    named = {element.get("id"): element for element in root.iter() if element.get("id")}
    depths: dict[Element, int] = {}
    below = {element: [*element, *_referred(element, named)] for element in root.iter()}
    path: list[tuple[Element, Iterator[Element]]] = [(root, iter(below[root]))]
    entered = {root}
    while path:
        element, following = path[-1]
        child = next((other for other in following if other not in entered), None)
        if child is None:
            path.pop()
            entered.discard(element)
            depths[element] = 1 + max((depths.get(other, 0) for other in below[element]), default=0)
        elif child not in depths:
            entered.add(child)
            path.append((child, iter(below[child])))
        if len(path) > _DEEPEST or depths.get(root, 0) > _DEEPEST:
            raise DamagedError(
                counted(
                    "the SVG is nested more than {limit} level deep",
                    "the SVG is nested more than {limit} levels deep",
                    "limit",
                    limit=_DEEPEST,
                )
            )


def _referred(element: Element, named: dict[str | None, Element]) -> Iterator[Element]:
    if element.tag.rpartition("}")[2] == "a":
        return
    for name, value in element.items():
        targets = [value.strip()[1:]] if name.rpartition("}")[2] == "href" else _REFERENCE.findall(value)
        yield from (named[target] for target in targets if target in named)
