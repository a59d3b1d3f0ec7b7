"""The date of an image's EXIF, as written by Pillow and by cameras."""

import struct
from io import BytesIO

import pytest
from file_storage.services.media import heif_header
from file_storage.services.media.media import media_of, taken_at_of
from PIL import ExifTags, Image

MOMENT = 1_782_907_386.0
"""2026-07-01T12:03:06Z, computed with ``date -d``."""


def exif_of(date: str | None, zone: str | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    exif[ExifTags.Base.DateTime] = "2001:01:01 00:00:00"
    directory = exif.get_ifd(ExifTags.IFD.Exif)
    if date is not None:
        directory[ExifTags.Base.DateTimeOriginal] = date
    if zone is not None:
        directory[ExifTags.Base.OffsetTimeOriginal] = zone
    return exif


def photo(kind: str, exif: Image.Exif) -> bytes:
    written = BytesIO()
    if kind == "TIFF":
        # Pillow saves no EXIF directory in a TIFF, but the EXIF data of other formats is a TIFF.
        exif[ExifTags.Base.ImageWidth], exif[ExifTags.Base.ImageLength] = 30, 20
        return exif.tobytes().removeprefix(b"Exif\0\0")
    Image.new("RGB", (30, 20), "red").save(written, kind, exif=exif)
    return written.getvalue()


def taken(content: bytes) -> float | None:
    file = BytesIO(content)
    return taken_at_of(media_of(file).media_type, file)


def heic(content: bytes, *, in_pieces: bool = False) -> bytes:
    """Return a HEIC without pixels whose item 3 is this EXIF."""

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), name) + content

    item = struct.pack(">I", 6) + b"Exif\0\0" + content
    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"hvc1") + b"\0")
    infe += box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 3, 0, b"Exif") + b"\0")
    iinf = box(b"iinf", struct.pack(">4xH", 2) + infe)
    start = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(offset: int) -> bytes:
        extents = [(offset, 4), (offset + 4, len(item) - 4)] if in_pieces else [(offset, len(item))]
        placed = b"".join(struct.pack(">II", *extent) for extent in extents)
        iloc = b"\1\0\0\0" + struct.pack(">BBH", 0x44, 0, 1) + struct.pack(">HHHH", 3, 0, 0, len(extents)) + placed
        return box(b"meta", bytes(4) + iinf + box(b"iloc", iloc))

    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", item)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("date", "zone", "moment"),
    [
        ("2026:07:01 12:03:06", None, MOMENT),
        ("2026:07:01 12:03:06", "+03:00", MOMENT - 3 * 3600),
        ("2026:07:01 12:03:06", "-09:30", MOMENT + 9.5 * 3600),
        ("1965:07:01 12:03:06", None, -142_084_614.0),
        ("2026:07:01 12:03:06", "   :  ", MOMENT),
        ("    :  :     :  :  ", None, None),
        ("0000:00:00 00:00:00", None, None),
        ("2026:13:01 12:03:06", None, None),
        ("2026:07:01 12:03:06", "+99:00", None),
        ("yesterday", None, None),
        (None, None, None),
    ],
)
def test_an_image_says_when_it_was_taken(kind: str, date: str | None, zone: str | None, moment: float | None) -> None:
    assert taken(photo(kind, exif_of(date, zone))) == moment


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_heic_says_when_it_was_taken(order: str) -> None:
    exif = exif_of("2026:07:01 12:03:06")
    exif.endian = order
    tiff = exif.tobytes().removeprefix(b"Exif\0\0")

    assert taken(heic(tiff)) == MOMENT
    assert taken(heic(tiff, in_pieces=True)) is None


def test_a_jpeg_may_have_other_segments_before() -> None:
    content = photo("JPEG", exif_of("2026:07:01 12:03:06"))
    other = b"\xff\xe1\0\x0ahttp://x\xff\xff\xe2\0\x05abc"

    assert taken(content[:2] + other + content[2:]) == MOMENT


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_exif_of_a_chunk_may_begin_as_in_a_jpeg(kind: str) -> None:
    written, exif = BytesIO(), exif_of("2026:07:01 12:03:06").tobytes()
    Image.new("RGB", (30, 20)).save(written, kind, exif=b"Exif\0\0" + exif)  # Pillow removes one mark

    assert b"Exif\0\0" in written.getvalue()
    assert taken(written.getvalue()) == MOMENT


def test_a_file_without_exif_says_nothing() -> None:
    assert taken(b"2026:07:01 12:03:06") is None
    assert taken(photo("JPEG", Image.Exif())) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_no_damaged_header_stops_an_upload(kind: str) -> None:
    content = photo(kind, exif_of("2026:07:01 12:03:06"))
    media_type = media_of(BytesIO(content)).media_type

    for length in range(0, len(content), 7):
        assert taken_at_of(media_type, BytesIO(content[:length])) in (None, MOMENT)
        damaged = content[:length] + b"\xff\xff\xff\xff" + content[length + 4 :]
        taken_at_of(media_type, BytesIO(damaged))


def test_places_without_bytes_are_passed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each item has 65,535 extents whose numbers take no bytes: read one by one, a megabyte of such items would take
    # days.
    places = b"".join(struct.pack(">HHH", 2, 0, 65_535) for _ in range(5))
    iloc = b"\0\0\0\0" + struct.pack(">BBH", 0, 0, 5) + places
    read: list[int] = []

    def counted(numbers: heif_header._Numbers, length: int) -> int:
        read.append(length)
        return original(numbers, length)

    original = heif_header._Numbers.next
    monkeypatch.setattr(heif_header._Numbers, "next", counted)
    with pytest.raises(KeyError):
        heif_header._place(iloc, 1)

    assert len(read) < 50
