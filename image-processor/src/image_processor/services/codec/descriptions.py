"""Filters XMP, Photoshop resources and IPTC: removes everything that is not valid for a result.

An embedded preview would show the source as it was before a face was blurred or an edge cropped. Entries about a motion
video, gain map, depth map or XMP extension would be wrong, because results contain none of these.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple
from xml.dom import minidom
from xml.dom.minidom import Attr, Document, Element
from xml.parsers.expat import ExpatError

import pyvips

_XMP, _IPTC, _RESOURCES, _EXIF = "xmp-data", "iptc-data", "photoshop-data", "exif-data"
_MAKER_NOTE = "exif-ifd2-MakerNote"
_PICTURES_IN_EXIF = ("exif-ifd0-XMLPacket", "exif-ifd0-ImageResources", "exif-ifd0-IPTC/NAA", "exif-ifd0-SubIFDs")
"""Fields of the first EXIF directory that hold other metadata, as in a TIFF, or point to other pictures."""
_RAW_PROFILE = re.compile(r"png-comment-\d+-Raw profile type ", re.IGNORECASE)
"""PNG texts in which ImageMagick stores EXIF, Photoshop resources and IPTC."""

_LONGEST_XMP = 4_000_000
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_OF_DROPPED_PARTS = (
    "http://ns.adobe.com/xap/1.0/g/img/",
    "http://ns.adobe.com/xmp/note/",
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.google.com/photos/",
    "http://ns.apple.com/",
)
"""Namespace prefixes of thumbnails, XMP extensions, gain maps, motion videos, depth maps and the like."""
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_STORED = {
    "http://ns.adobe.com/tiff/1.0/": re.compile(
        "Orientation|Image(Width|Length)|BitsPerSample|Compression|PhotometricInterpretation|SamplesPerPixel|"
        "PlanarConfiguration|YCbCr(SubSampling|Positioning)|[XY]Resolution|ResolutionUnit"
    ),
    "http://ns.adobe.com/exif/1.0/": re.compile("Pixel[XY]Dimension|ColorSpace"),
    "http://ns.adobe.com/photoshop/1.0/": re.compile("ColorMode|ICCProfile"),
}
"""Properties that describe how the source's pixels were stored, which is not valid for the result."""
_PICTURE = re.compile(r"(?:data:[^,]*,)?(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD|SUkqA|TU0AK|AAAA.GZ0eX|/woA)")
"""First characters of JPEG, PNG, WebP, GIF, TIFF, HEIF and JPEG XL in Base64."""
_JPEG = b"\xff\xd8\xff"

_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_KEPT_RESOURCES = (0x040A, 0x040B)
"""Copyright flag and URL; the other resources are thumbnails or an editor's own data."""
_DATA_SET = 0x1C
_PICTURES_IN_IPTC = (200, 201, 202)
"""Data sets of record 2 that hold a preview (IPTC IIM 4.2, 2:200 to 2:202)."""
_DESCRIBING_RECORDS = (1, 2, 3)
"""Records that describe the picture; records 7 to 9 are the picture itself."""


def without_dropped_parts(image: pyvips.Image, format_name: str) -> pyvips.Image:
    """Return the image with only the metadata that is valid for a result, laid out for this format."""
    changed: dict[str, bytes | None] = {}
    if image.get_typeof(_XMP):
        changed[_XMP] = kept_xmp(bytes(image.get(_XMP)))
    if image.get_typeof(_IPTC) or image.get_typeof(_RESOURCES):
        described = _Iptc.of(_blob(image, _IPTC), _blob(image, _RESOURCES))
        changed[_IPTC], changed[_RESOURCES] = described.of_jpeg() if format_name == "jpeg" else described.of_tiff()
    unwanted = [field for field in image.get_fields() if field in _PICTURES_IN_EXIF or _RAW_PROFILE.match(field)]
    if image.get_typeof(_MAKER_NOTE) and _JPEG in _blob(image, _EXIF):
        unwanted.append(_MAKER_NOTE)
    if not changed and not unwanted:
        return image
    image = image.copy()
    for field in [*unwanted, *(field for field, value in changed.items() if value is None)]:
        image.remove(field)
    for field, value in changed.items():
        if value is not None:
            image.set_type(pyvips.GValue.blob_type, field, value)
    return image


def iptc_of(image: pyvips.Image) -> Iterator[tuple[int, int, bytes]]:
    """Yield record, number and value of each IPTC data set that describes the picture."""
    described = _Iptc.of(_blob(image, _IPTC), _blob(image, _RESOURCES))
    for record, number, value, _ in _data_sets(described.data_sets):
        yield record, number, value


def xmp_texts(image: pyvips.Image, namespace: str, names: Sequence[str]) -> Sequence[Sequence[str]]:
    """Return the texts of each of these properties in the image's XMP.

    If a property has several languages, the text in the default language comes first.
    """
    packet = _blob(image, _XMP)
    # Skip parsing if possible: it takes milliseconds.
    if len(packet) > _LONGEST_XMP or not any(name.encode() in packet for name in names):
        return [[] for _ in names]
    try:
        properties = list(chain.from_iterable(map(_properties, _descriptions(_parsed(packet)))))
        return [_texts(found for found in properties if _is(found, namespace, name)) for name in names]
    except (ExpatError, ValueError, LookupError, RecursionError):
        return [[] for _ in names]


def _is(found: Attr | Element, namespace: str, name: str) -> bool:
    return (found.namespaceURI, found.localName) == (namespace, name)


def _texts(properties: Iterator[Attr | Element]) -> Sequence[str]:
    items = list(chain.from_iterable(map(_items, properties)))
    items.sort(key=lambda item: isinstance(item, Attr) or item.getAttribute("xml:lang") not in ("", "x-default"))
    texts = (_text_of(item).strip() for item in items)
    return [text for text in texts if text]


def _items(found: Attr | Element) -> Sequence[Attr | Element]:
    """Return the items of a list property, or the property itself."""
    listed = [] if isinstance(found, Attr) else list(found.getElementsByTagNameNS(_RDF, "li"))
    return listed or [found]


def _parsed(packet: bytes) -> Document:
    # Expat refuses entities that expand too much, and fetches no external entity.
    return minidom.parseString(packet.rstrip(b"\0"))  # noqa: S318  # nosec B318


def _blob(image: pyvips.Image, field: str) -> bytes:
    return bytes(image.get(field)) if image.get_typeof(field) else b""


def kept_xmp(packet: bytes) -> bytes | None:
    """Return the part of an XMP packet that is valid for a result; None if nothing is or the packet cannot be read."""
    if len(packet) > _LONGEST_XMP:
        return None
    try:
        document = _parsed(packet)
        if not _drop_from(document):
            return packet
        has_some = any(True for element in _descriptions(document) for _ in _properties(element))
        return "".join(node.toxml() for node in document.childNodes).encode() if has_some else None
    except (ExpatError, ValueError, LookupError, RecursionError):
        return None


def _drop_from(document: Document) -> bool:
    """Remove unwanted properties and return whether there were any."""
    descriptions = _descriptions(document)
    unwanted = [(element, found) for element in descriptions for found in _properties(element) if _is_dropped(found)]
    for element, found in unwanted:
        if isinstance(found, Attr):
            element.removeAttributeNode(found)
        else:
            element.removeChild(found)
    return bool(unwanted)


def _descriptions(document: Document) -> list[Element]:
    """Return the top elements, whose attributes and children are properties; no elements inside a property's value."""
    parents = document.getElementsByTagNameNS(_RDF, "RDF")
    return [node for parent in parents for node in parent.childNodes if isinstance(node, Element)]


def _properties(description: Element) -> Iterator[Attr | Element]:
    for attribute in list(description.attributes.values()):
        if attribute.namespaceURI not in (None, _RDF, "http://www.w3.org/2000/xmlns/"):
            yield attribute
    yield from (node for node in list(description.childNodes) if isinstance(node, Element))


def _is_dropped(found: Attr | Element) -> bool:
    stored = _STORED.get(found.namespaceURI or "")
    if stored is not None and stored.fullmatch(found.localName or ""):
        return True
    if isinstance(found, Attr):
        return _is_of_dropped_part(found) or _is_picture(found.value)
    return any(_is_of_dropped_part(node) or _is_picture(_text_of(node)) for node in chain([found], _below(found)))


def _below(element: Element) -> Iterator[Attr | Element]:
    yield from element.attributes.values()
    for child in element.childNodes:
        if isinstance(child, Element):
            yield child
            yield from _below(child)


def _is_of_dropped_part(node: Attr | Element) -> bool:
    namespace = node.namespaceURI or ""
    return namespace.startswith(_OF_DROPPED_PARTS) and namespace != _PANORAMA


def _text_of(node: Attr | Element) -> str:
    if isinstance(node, Attr):
        return node.value
    return "".join(child.data for child in node.childNodes if isinstance(child, minidom.Text))


def _is_picture(text: str) -> bool:
    return len(text) > 64 and _PICTURE.match("".join(text[:200].split())) is not None


class _Iptc(NamedTuple):
    """The IPTC data sets and other Photoshop resources that a result keeps."""

    data_sets: bytes
    resources: bytes

    @classmethod
    def of(cls, iptc: bytes, photoshop: bytes) -> "_Iptc":
        """Parse libvips' values: a JPEG's ``iptc`` is a block of resources, a TIFF's is bare data sets."""
        is_block = iptc.startswith(_PHOTOSHOP) or iptc.startswith(b"8BIM")
        found = list(_resources(iptc if is_block else photoshop))
        bare = b"" if is_block else iptc
        bare = bare or next((content for number, content, _ in found if number == _IPTC_RESOURCE), b"")
        kept = b"".join(whole for number, _, whole in found if number in _KEPT_RESOURCES)
        return cls(_kept_data_sets(bare), kept)

    def of_jpeg(self) -> tuple[bytes | None, None]:
        """Return ``iptc-data`` and ``photoshop-data`` for a JPEG: one block of resources."""
        head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(self.data_sets))
        own = head + self.data_sets + bytes(len(self.data_sets) % 2) if self.data_sets else b""
        return (_PHOTOSHOP + own + self.resources if own or self.resources else None), None

    def of_tiff(self) -> tuple[bytes | None, bytes | None]:
        """Return ``iptc-data`` and ``photoshop-data`` for a TIFF: two tags."""
        # libvips passes a byte count where libtiff expects a count of long integers, so only a quarter is written.
        return self.data_sets.ljust(4 * len(self.data_sets), b"\0") or None, self.resources or None


def _resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, content and all bytes of each resource (Photoshop File Formats, Image Resource Blocks)."""
    position = len(_PHOTOSHOP) if block.startswith(_PHOTOSHOP) else 0
    while block[position : position + 4] == b"8BIM" and len(block) >= position + 12:
        (number,) = struct.unpack_from(">H", block, position + 4)
        start = position + 6 + (block[position + 6] + 2) // 2 * 2  # a Pascal string of even length
        if len(block) < start + 4:
            return
        (length,) = struct.unpack_from(">I", block, start)
        end = start + 4 + length
        if end > len(block):
            return
        content = block[start + 4 : end]
        yield number, content, block[position:end] + bytes(length % 2)
        position = end + length % 2


def _kept_data_sets(data: bytes) -> bytes:
    """Return the IPTC data sets that describe the picture (IIM 4.2, 1.5), up to the first that cannot be read."""
    if data[:1] != bytes([_DATA_SET]) and data[3:4] == bytes([_DATA_SET]):
        # The tag holds long integers in the other byte order.
        data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    return b"".join(
        whole
        for record, number, _, whole in _data_sets(data)
        if record in _DESCRIBING_RECORDS and not (record == 2 and number in _PICTURES_IN_IPTC)
    )


def _data_sets(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield record, number, value and all bytes of each data set, up to the first that cannot be read."""
    position = 0
    while position + 5 <= len(data) and data[position] == _DATA_SET:
        record, number, length = struct.unpack_from(">BBH", data, position + 1)
        start = position + 5
        end = start + length
        if length & 0x8000 or end > len(data):  # a describing data set has at most 32,767 bytes
            return
        yield record, number, data[start:end], data[position:end]
        position = end
