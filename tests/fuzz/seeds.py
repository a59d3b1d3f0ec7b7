"""``python -m tests.fuzz.seeds FOLDER``: writes small files of what the corpus lacks, for the fuzzer to damage."""

import sys
from pathlib import Path

import numpy
from PIL import Image, ImageCms

from tests.support.jpegxl import LINEAR, P3, jpegxl


def jpeg_xl_files() -> list[bytes]:
    """JPEG XL of each kind of samples, colors, boxes and frames."""
    ramp = numpy.arange(48 * 64 * 4, dtype="uint32").reshape(48, 64, 4)
    rgba = (ramp % 251).astype("uint8")
    rgb, gray = rgba[..., :3].copy(), rgba[..., :1].copy()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    boxes = [(b"Exif", bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")), (b"xml ", b"<x:xmpmeta/>" * 20)]
    return [
        jpegxl(rgb),
        jpegxl(rgba, distance=1, primaries=P3),
        jpegxl(gray, orientation=6, boxes=boxes),
        jpegxl(rgb, icc=profile, boxes=boxes, compressed_boxes=True),
        jpegxl(rgb, icc=profile, distance=1),
        jpegxl(rgba.astype("uint16") * 257, transfer=LINEAR, premultiplied=True),
        jpegxl(rgb.astype("float32") / 255, distance=2),
        jpegxl(rgb, 255 - rgb),
        jpegxl(rgb, black=gray),
    ]


def write(folder: Path) -> None:
    """Write the files, each under its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(jpeg_xl_files()):
        (folder / f"jpeg-xl-{number}.jxl").write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
