"""Only the intended loaders can run, regardless of a file's content and name."""

import struct
from pathlib import Path

import image_processor.services.codec.decoding  # noqa: F401 (blocks the loaders)
import pytest
import pyvips
from image_processor.services.codec.decoding import decode
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.limits import ImageLimits

FITS = b"".join(
    card.ljust(80)
    for card in (
        b"SIMPLE  =                    T",
        b"BITPIX  =                    8",
        b"NAXIS   =                    0",
        b"END",
    )
).ljust(2880)
ANALYZE = struct.pack("<i", 348) + bytes(344)
RADIANCE = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n" + bytes(16)
VIPS = struct.pack("<Iiiiiiiiffii", 0x08F2A6B6, 2, 2, 1, 8, 0, 0, 0, 1.0, 1.0, 0, 0).ljust(64, b"\0") + bytes(4)
CONTENTS = {
    "matrixload": (b"2 2\n1 2\n3 4\n", "mat"),
    "csvload": (b"1,2\n3,4\n", "csv"),
    "rawload": (bytes(100), "raw"),
    "vipsload": (VIPS, "v"),
    "fitsload": (FITS, "fits"),
    "matload": (b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM", "mat"),
    "ppmload": (b"P6\n2 2\n255\n" + bytes(12), "ppm"),
    "pfm": (b"PF\n2 2\n-1.0\n" + bytes(48), "pfm"),
    "radload": (RADIANCE, "hdr"),
    "analyzeload": (ANALYZE, "hdr"),
    "niftiload": (ANALYZE, "nii"),
    "openexrload": (b"\x76\x2f\x31\x01" + bytes(60), "exr"),
    "openslideload": (b"II*\0" + bytes(100), "svs"),
    "magickload": (b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c #000", "a"};', "xpm"),
    "magickload as MVG": (b"push graphic-context\nviewbox 0 0 9 9\n", "mvg"),
    "dcrawload": (b"FUJIFILMCCD-RAW ".ljust(200, b"\0"), "raf"),
}
MEANT = {"jpegload", "uhdrload", "pngload", "webpload", "gifload", "tiffload", "heifload"}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_of_another_format_is_not_read_by_its_content_or_name(tmp_path: Path, name: str) -> None:
    content, extension = CONTENTS[name]
    source = tmp_path / f"source.{extension}"
    source.write_bytes(content)

    with pytest.raises(ImageError, match=r"not an image of a known format|truncated|cannot be decoded"):
        decode(source, ImageLimits(10**6, 10), sequential=True)
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_file(f"{source}[page=0]")


@pytest.mark.parametrize("loader", ["csvload", "matrixload", "vipsload", "svgload"])
def test_a_loader_that_is_not_meant_is_blocked_even_if_called_by_name(tmp_path: Path, loader: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1 1\n1\n")

    with pytest.raises(pyvips.Error, match=r"blocked|unknown class|unable to call"):
        getattr(pyvips.Image, loader)(str(source))


def test_libvips_finds_no_other_loader_by_the_content(tmp_path: Path) -> None:
    found = set()
    for extension in ("jpg", "png", "webp", "gif", "tif", "avif"):
        path = tmp_path / f"x.{extension}"
        pyvips.Image.black(8, 8, bands=3).copy(interpretation="srgb").write_to_file(str(path))
        found.add(str(pyvips.Image.new_from_file(str(path)).get("vips-loader")))

    assert found <= MEANT
    assert len(found) == 6
