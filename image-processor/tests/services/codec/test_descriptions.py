"""The XMP, Photoshop resources and IPTC that a result keeps, checked with Pillow and tifffile."""

import base64
import io
import struct

import numpy
import pytest
import tifffile
from image_processor.services.codec.descriptions import kept_xmp
from PIL import Image, PngImagePlugin

from tests.support.algorithm_runs import processed
from tests.support.images import opened, photo

pytestmark = pytest.mark.slow

SMALL = b"\xff\xd8\xff\xe0 a small picture of the source \xff\xd9"
IN_TEXT = base64.b64encode(SMALL + bytes(60)).decode()
GUID = "0123456789ABCDEF0123456789ABCDEF"
XMP = f"""<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
 xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:own="http://example.com/own/"
 xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" xmlns:apple="http://ns.apple.com/HDRGainMap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"
 xmpNote:HasExtendedXMP="{GUID}" hdrgm:Version="1.0" GCamera:MicroVideo="1" GCamera:MicroVideoOffset="4000"
 GCamera:MotionPhoto="1" GDepth:Near="1" apple:HDRGainMapVersion="65536" tiff:Orientation="6" tiff:Make="Maker"
 GPano:ProjectionType="equirectangular" xmp:Rating="4" own:Thumbnail="{IN_TEXT}">
<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:format>JPEG</xmpGImg:format>
<xmpGImg:image>{IN_TEXT}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>
<Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Semantic="GainMap"/></rdf:li></rdf:Seq></Container:Directory>
<own:Picture>data:image/jpeg;base64,{IN_TEXT}</own:Picture>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title &amp; more</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()
DROPPED = (
    b"HasExtendedXMP hdrgm:Version MicroVideo MotionPhoto GDepth:Near HDRGainMapVersion Orientation xmp:Thumbnails "
    b"xmpGImg:image Container:Directory own:Thumbnail own:Picture /9j/"
).split()
KEPT = [b'tiff:Make="Maker"', b'xmp:Rating="4"', b"A title &amp; more", b'GPano:ProjectionType="equirectangular"']

IPTC = b"".join(
    struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value
    for number, value in ((120, b"A caption"), (202, SMALL), (80, b"Ada"))
)
FORMATS = ["jpeg", "png", "webp", "tiff", "avif"]
RUNS = [("convert", {}), ("crop", {"width": 20, "height": 20}), ("blur_faces", {}), ("thumbnail", {})]


def without_preview(iptc: bytes) -> bytes:
    return iptc.replace(struct.pack(">BBBH", 0x1C, 2, 202, len(SMALL)) + SMALL, b"")


def resource(number: int, content: bytes) -> bytes:
    return struct.pack(">4sHHI", b"8BIM", number, 0, len(content)) + content + bytes(len(content) % 2)


RESOURCES = (
    resource(0x0409, SMALL)
    + resource(0x040C, struct.pack(">I", 1) + bytes(24) + SMALL)
    + resource(0x0404, IPTC)
    + resource(0x040B, b"https://example.com/")
    + resource(0x0422, SMALL)
)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    content = photo(format="JPEG")
    return content[:2] + b"".join(segments) + content[2:]


MAIN = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0" + GUID.encode() + struct.pack(">II", 9, 0) + b"<x>9</x> "
APP13 = [segment(0xED, b"Photoshop 3.0\0" + part) for part in (RESOURCES[:90], RESOURCES[90:])]


def tiff(*tags: tuple[int, bytes]) -> bytes:
    written = io.BytesIO()
    extra = [(tag, 7, len(content), content, True) for tag, content in tags]
    pixels = numpy.asarray(opened(photo()))
    tifffile.imwrite(written, pixels, photometric="rgb", metadata=None, extratags=extra)
    return written.getvalue()


def png() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return photo(format="PNG", pnginfo=text)


SOURCES = {
    "JPEG": jpeg(MAIN, *APP13),
    "TIFF": tiff((700, XMP), (33723, IPTC), (34377, RESOURCES)),
    "PNG": png(),
    "WEBP": photo(format="WEBP", xmp=XMP),
    "AVIF": photo(format="AVIF", xmp=XMP),
}


def xmp_of(content: bytes) -> bytes:
    result = opened(content)
    found = result.info.get("xmp") or result.info.get("XML:com.adobe.xmp") or b""
    return found if isinstance(found, bytes) else found.encode()


@pytest.mark.parametrize(("algorithm", "params"), RUNS)
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_result_contains_no_picture_of_the_source(
    source: str, target: str, algorithm: str, params: dict[str, object]
) -> None:
    output = {"format": target, "metadata": "keep"}
    wanted = output if algorithm == "convert" else {**params, "output": output}

    result = processed(SOURCES[source], algorithm, wanted)

    found = xmp_of(result)
    assert [word for word in DROPPED if word in found] == []
    assert [word for word in KEPT if word not in found] == []
    assert b"a small picture of the source" not in result


def iptc_of(content: bytes) -> bytes:
    """Return the IPTC data sets; in a TIFF they are a tag of long integers, as written by Photoshop and libtiff."""
    if content[:2] != b"II":
        photoshop: dict[int, bytes] = opened(content).info["photoshop"]
        return photoshop[0x0404]
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        values = file.pages.first.tags[33723].value
    return values if isinstance(values, bytes) else struct.pack(f"<{len(values)}I", *values)


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
@pytest.mark.parametrize("source", ["JPEG", "TIFF"])
def test_iptc_is_written_as_each_format_requires(source: str, target: str) -> None:
    found = iptc_of(processed(SOURCES[source], "convert", {"format": target, "metadata": "keep"}))

    assert found.rstrip(b"\0") == without_preview(IPTC)


def test_the_url_in_the_resources_of_a_jpeg_is_kept() -> None:
    result = opened(processed(SOURCES["JPEG"], "convert", {"metadata": "keep"}))

    assert result.info["photoshop"] == {
        0x040B: b"https://example.com/",
        0x0404: without_preview(IPTC),
    }


@pytest.mark.parametrize("order", [[MAIN, segment(0xE1, EXTENSION)], [segment(0xE1, EXTENSION), MAIN]])
def test_the_main_packet_is_kept_before_or_after_its_extension(order: list[bytes]) -> None:
    found = xmp_of(processed(jpeg(*order), "convert", {"metadata": "keep"}))

    assert [word for word in KEPT if word not in found] == []
    assert b"HasExtendedXMP" not in found


def test_raw_profiles_in_png_texts_are_removed() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type 8bim", f"\n8bim\n{len(RESOURCES)}\n{RESOURCES.hex()}\n", zip=True)
    text.add_text("Comment", "kept")

    result = opened(processed(photo(format="PNG", pnginfo=text), "convert", {"metadata": "keep"}))

    assert {name: value for name, value in result.info.items() if isinstance(value, str)} == {"Comment": "kept"}


@pytest.mark.parametrize(("note", "stays"), [(b"Maker\0" + SMALL, False), (b"Maker\0 settings", True)])
def test_a_maker_note_is_kept_unless_it_contains_a_picture(note: bytes, stays: bool) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = note
    exif[0x010F] = "Maker"

    kept = opened(processed(photo(format="JPEG", exif=exif), "convert", {"metadata": "keep"})).getexif()

    assert kept[0x010F] == "Maker"
    assert (0x927C in kept.get_ifd(0x8769)) is stays


def test_a_packet_with_nothing_to_remove_is_unchanged() -> None:
    packet = XMP[: XMP.index(b" xmpNote:Has")] + b' xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'

    assert kept_xmp(packet) == packet


@pytest.mark.parametrize("damaged", [XMP[:-60], b"", b"<x", b"\xff\xfe", XMP + bytes(4_000_000)])
def test_a_packet_that_cannot_be_parsed_is_removed(damaged: bytes) -> None:
    assert kept_xmp(damaged) is None


def test_a_packet_that_only_describes_removed_parts_is_removed() -> None:
    start, end = XMP.index(b" tiff:Orientation"), XMP.index(b"<xmp:Thumbnails")

    assert kept_xmp(XMP[:start] + b">" + XMP[end : XMP.index(b"<dc:title")] + XMP[XMP.index(b"</rdf:Desc") :]) is None
