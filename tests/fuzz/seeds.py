"""``python -m tests.fuzz.seeds FOLDER``: write small files of every format that is read, as fuzzing seeds.

The images of Pillow's tests, the other seeds, contain no JPEG XL and no SVG.
"""

import io
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import pillow_heif
import pypdfium2

from tests.support.images import encoded, opened, photo
from tests.support.jpegxl import jpeg_xl_files

_SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48" width="64" height="48">
<defs><linearGradient id="a"><stop stop-color="red"/><stop offset="1" stop-color="#00f8"/></linearGradient>
<filter id="b"><feGaussianBlur stdDeviation="2"/></filter><clipPath id="c"><circle cx="32" cy="24" r="20"/></clipPath>
</defs><style>text { font: bold 12px serif }</style><g clip-path="url(#c)" transform="rotate(5)">
<path d="M0 0L64 10Q40 30 10 48z" fill="url(#a)" filter="url(#b)"/></g><text x="4" y="40">Ada</text></svg>"""


def seeds() -> Mapping[str, list[bytes]]:
    """Return the files by the formats' names in the docs."""
    return {
        **{name: [photo(format=name.upper())] for name in ("JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF", "BMP", "ICO")},
        "JPEG 2000": [photo(format="JPEG2000")],
        "JPEG XL": jpeg_xl_files(),
        "HEIC": [_heic()],
        # The brand "mif1" allows any codec.
        "HEIF": [_heic().replace(b"ftypheic", b"ftypmif1", 1)],
        "PSD": [_psd()],
        "PDF": [_pdf()],
        "SVG": [_SVG],
    }


def _heic() -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(opened(photo())).save(buffer)
    return buffer.getvalue()


def _psd() -> bytes:
    """Return an uncompressed PSD without layers (Adobe Photoshop File Formats Specification)."""
    image = opened(photo())
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, image.height, image.width, 8, 3)
    return header + struct.pack(">IIIH", 0, 0, 0, 0) + b"".join(band.tobytes() for band in image.split())


def _pdf() -> bytes:
    image = encoded(opened(photo()), "PDF")
    document = pypdfium2.PdfDocument(image)
    document.new_page(72, 36)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def write(folder: Path) -> None:
    """Write the files, named by their formats and numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in seeds().items():
        for number, content in enumerate(contents):
            (folder / f"{name.lower().replace(' ', '-')}-{number}").write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
