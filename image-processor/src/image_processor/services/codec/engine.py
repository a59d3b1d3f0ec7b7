"""Identifies the version of everything that affects the pixels of results: our code and the libraries."""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pyvips

import image_processor

_COMPUTES = (".py", ".onnx")
_SOURCES = ("algorithms", "imaging", "services/codec", "services/readers")
_LIBRARIES = (
    *("font-roboto", "imagecodecs", "numpy", "opencv-python-headless", "pillow", "pillow-heif"),
    *("pypdfium2", "resvg-py", "simplejpeg"),
)


def digest_of(folders: Iterable[Path]) -> str:
    """Return a digest of the names and contents of all Python files and neural networks below these folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _COMPUTES):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def engine_version() -> str:
    """Return the task-independent part of the result cache's key."""
    package = Path(image_processor.__path__[0])
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    return "; ".join([digest_of(package / folder for folder in _SOURCES), f"libvips {libvips}", *libraries])
