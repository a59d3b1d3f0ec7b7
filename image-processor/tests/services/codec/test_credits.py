"""Author and copyright that only IPTC (IIM 4.2) or XMP contains, read from results with Pillow."""

import struct

import pytest
from PIL import Image

from tests.support.algorithm_runs import processed
from tests.support.images import opened, photo

ARTIST, COPYRIGHT = 0x013B, 0x8298
UTF_8 = struct.pack(">BBBH", 0x1C, 1, 90, 3) + b"\x1b%G"
RUNS = [("convert", {}), ("resize", {"width": 20}), ("flip", {})]


def data_set(number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value


def iptc(*data_sets: bytes, exif: bytes = b"") -> bytes:
    """Return a JPEG with these data sets."""
    found = b"".join(data_sets)
    resource = struct.pack(">4sHHI", b"8BIM", 0x0404, 0, len(found)) + found + bytes(len(found) % 2)
    segment = b"Photoshop 3.0\0" + resource
    content = photo(format="JPEG", exif=exif) if exif else photo(format="JPEG")
    return content[:2] + struct.pack(">BBH", 0xFF, 0xED, len(segment) + 2) + segment + content[2:]


def xmp(authors: list[str], rights: dict[str, str]) -> bytes:
    """Return an XMP packet; ``rights`` by their languages."""
    listed = "".join(f"<rdf:li>{author}</rdf:li>" for author in authors)
    spoken = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in rights.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:creator><rdf:Seq>{listed}</rdf:Seq></dc:creator><dc:rights><rdf:Alt>{spoken}</rdf:Alt></dc:rights>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def credits_of(content: bytes) -> tuple[str | None, str | None]:
    """Return Artist and Copyright; Pillow decodes their bytes as Latin-1."""
    exif = opened(content).getexif()
    artist, notice = (
        None if tag not in exif else str(exif[tag]).encode("latin-1").decode() for tag in (ARTIST, COPYRIGHT)
    )
    return artist, notice


IN_IPTC = iptc(UTF_8, data_set(80, "Ада Л.".encode()), data_set(80, b"Bob"), data_set(116, "© Ада".encode()))
IN_XMP = photo(format="WEBP", xmp=xmp(["Ада Л.", "Bob"], {"de": "© Fräulein Ada", "x-default": "© Ада"}))


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "tiff"])
@pytest.mark.parametrize(("algorithm", "params"), RUNS)
@pytest.mark.parametrize("source", [IN_IPTC, IN_XMP], ids=["IPTC", "XMP"])
def test_credits_are_in_the_exif_of_a_result(
    source: bytes, algorithm: str, params: dict[str, object], target: str
) -> None:
    output = {"format": target}

    result = processed(source, algorithm, output if algorithm == "convert" else {**params, "output": output})

    assert credits_of(result) == ("Ада Л.; Bob", "© Ада")
    assert "xmp" not in opened(result).info


def test_a_jpeg_small_enough_for_the_quick_way_keeps_credits_of_its_xmp() -> None:
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp(["Ada"], {"x-default": "Ada, 2026"})
    content = photo(format="JPEG")
    source = content[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(packet) + 2) + packet + content[2:]

    assert credits_of(processed(source, "resize", {"width": 20})) == ("Ada", "Ada, 2026")


def test_what_exif_names_is_not_replaced() -> None:
    exif = Image.Exif()
    exif[COPYRIGHT] = "of EXIF"
    source = iptc(data_set(80, b"of IPTC"), data_set(116, b"not this"), exif=exif.tobytes())

    assert credits_of(processed(source, "resize", {"width": 20})) == ("of IPTC", "of EXIF")


def test_iptc_without_a_character_set_is_read_as_latin_1_if_it_is_not_utf_8() -> None:
    source = iptc(data_set(80, "Zoë".encode("latin-1")))

    assert credits_of(processed(source, "resize", {"width": 20})) == ("Zoë", None)


def test_no_credits_stay_where_all_metadata_are_stripped() -> None:
    result = processed(IN_IPTC, "resize", {"width": 20, "output": {"metadata": "strip"}})

    assert credits_of(result) == (None, None)


@pytest.mark.parametrize("packet", [b"<x:xmpmeta>creator rights", b"creator", xmp(["<rdf:li/>"], {})])
def test_xmp_that_cannot_be_read_or_names_nobody_adds_nothing(packet: bytes) -> None:
    result = processed(photo(format="WEBP", xmp=packet), "resize", {"width": 20})

    assert credits_of(result) == (None, None)
