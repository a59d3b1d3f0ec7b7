"""Identifies the version of everything that affects the pixels of results: our code and the libraries."""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pyvips
from service_kit import svg_header

import image_processor

_COMPUTES = (".py", ".onnx")
SOURCES = ("algorithms", "imaging", "services/codec", "services/readers")
SHARED = (svg_header,)
"""Modules of the other package that affect pixels."""
_LIBRARIES = (
    *("font-roboto", "imagecodecs", "numpy", "opencv-python-headless", "pillow", "pillow-heif"),
    *("pypdfium2", "resvg-py", "simplejpeg"),
)


def digest_of(folders: Iterable[Path], files: Iterable[Path] = ()) -> str:
    """Return a digest of the names and contents of files, and of Python files and neural networks below folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _COMPUTES):
            digest.update(_entry(path.relative_to(folder), path))
    for path in files:
        digest.update(_entry(Path(path.name), path))
    return digest.hexdigest()


def _entry(name: Path, path: Path) -> bytes:
    content = path.read_bytes()
    return f"{name} {len(content)}\n".encode() + content


def engine_version() -> str:
    """Return the task-independent part of the result cache's key."""
    package = Path(image_processor.__path__[0])
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    shared = [Path(str(module.__file__)) for module in SHARED]
    sources = digest_of([package / folder for folder in SOURCES], shared)
    return "; ".join([sources, f"libvips {libvips}", *libraries])
