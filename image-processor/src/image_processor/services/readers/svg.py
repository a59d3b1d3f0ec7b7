"""Renders SVG with resvg, at a resolution or at the size that a step of the plan needs, without external resources."""

import threading
from functools import partial
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pyvips
import resvg_py
from font_roboto import font_files
from service_kit.svg_header import svg_size
from service_kit.texts import counted, sentence

from image_processor.imaging.source import DOTS_PER_INCH, Source
from image_processor.services.readers.opened import DamagedError, Opened
from image_processor.services.readers.sniffing import uncompressed
from image_processor.services.readers.svg_rules import keep_harmless

_LONGEST = 32 * 1024 * 1024
_STACK = 64 * 1024 * 1024
"""Stack size in bytes: resvg recurses per level, and on a default stack a few hundred levels crash the process."""

_FONT = "Roboto"
_PIXEL_BYTES = 4
_CANVASES = 4
"""Canvases in memory at once: the picture, its PNG, and layers of transparent, masked or filtered groups."""


def open_image(source: Path, wanted: Source) -> Opened:
    """Return the drawing; at 96 dpi, the resolution of CSS, it has the size given by its root element."""
    content = uncompressed(source.read_bytes(), _LONGEST) if source.stat().st_size <= _LONGEST else None
    if content is None or len(content) > _LONGEST:
        raise DamagedError(
            counted(
                "an SVG may have at most {limit:,} byte",
                "an SVG may have at most {limit:,} bytes",
                "limit",
                limit=_LONGEST,
            )
        )
    # Expat refuses entities that expand too much, and fetches no external entity.
    root = ElementTree.fromstring(content)  # noqa: S314  # nosec B314
    size = svg_size(root.attrib)
    if size is None:
        raise DamagedError(sentence("the SVG has no size"))
    keep_harmless(root)
    width, height = size
    if "viewBox" not in root.attrib:
        root.set("viewBox", f"0 0 {width} {height}")
    scale = (wanted.dpi or DOTS_PER_INCH["svg"]) / DOTS_PER_INCH["svg"]
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    at_size = partial(_rendered, root)
    return Opened("svg", width, height, lossless=True, pixels=partial(at_size, width, height), at_size=at_size)


def _rendered(root: Element, width: int, height: int) -> pyvips.Image:
    _check_memory(_CANVASES * _PIXEL_BYTES * width * height)
    root.set("width", str(width))
    root.set("height", str(height))
    png = _on_a_deep_stack(ElementTree.tostring(root, encoding="unicode"))
    return pyvips.Image.pngload_buffer(png)


def _check_memory(size: int) -> None:
    """Allocate this many bytes for a moment, because Rust aborts the process when it runs out of memory.

    :raises MemoryError: the process cannot allocate them.
    """
    bytearray(size)


def _on_a_deep_stack(text: str) -> bytes:
    """Render on a thread with a large stack and return the PNG.

    :raises DamagedError: resvg cannot render the SVG, or panics.
    """
    made: list[bytes] = []
    reasons: list[str] = []

    def render() -> None:
        try:
            made.append(_render(text))
        except BaseException as error:  # noqa: BLE001 (a panic in Rust is not an Exception)
            reasons.append(str(error))

    before = threading.stack_size(_STACK)
    try:
        thread = threading.Thread(target=render, name="resvg")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if reasons:
        raise DamagedError(reasons[0])
    return made[0]


def _render(text: str) -> bytes:
    return resvg_py.svg_to_bytes(
        svg_string=text,
        dpi=DOTS_PER_INCH["svg"],
        skip_system_fonts=True,
        font_files=[font_files[name] for name in ("Roboto", "RobotoBold", "RobotoItalic", "RobotoBoldItalic")],
        font_family=_FONT,
        serif_family=_FONT,
        sans_serif_family=_FONT,
        cursive_family=_FONT,
        fantasy_family=_FONT,
        monospace_family=_FONT,
    )
