"""Chooses the format for a client if the URL names none, before the source is read."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from image_processor.algorithms.resize import ResizeParams
from image_processor.algorithms.thumbnail import ThumbnailParams
from image_processor.imaging.errors import UnsuitableImageError
from image_processor.render.plans.deferred import Deferred, PlannedStep, Size

BEST_FIRST = ("avif", "webp")
PLAIN = "plain"
"""The name for PNG, JPEG, or GIF for an animation, in place of the source's AVIF or WebP."""
MAYBE_ANIMATED = ("image/gif", "image/webp", "image/tiff", "image/apng", "image/avif")
"""Media types of sources that may be animated; Pixmill writes only still AVIF images."""


def qualities(accept: str) -> Mapping[str, float]:
    """Return the q-values of the media types that an Accept header names (RFC 9110, 12.5.1)."""
    found = dict[str, float]()
    for part in accept.split(","):
        name, *params = (value.strip() for value in part.split(";"))
        quality = 1.0
        for param in params:
            key, _, value = param.partition("=")
            if key.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if name:
            found[name.lower()] = quality
    return found


def accepted(accept: str, media_type: str, pixels: int | None, avif_pixels: int) -> Sequence[str]:
    """Return those of ``avif`` and ``webp`` that the client accepts and the result may have.

    A wildcard does not count: clients that accept everything often cannot show every format.

    :param media_type: the type of the source; empty if it is not known.
    :param pixels: the most pixels that the result may have; ``None`` if that is not known.
    :param avif_pixels: the largest result that may be AVIF.
    """
    wanted = qualities(accept)
    may_be_avif = media_type not in MAYBE_ANIMATED and _is_small(pixels, avif_pixels)
    return [name for name in BEST_FIRST if wanted.get(f"image/{name}", 0) > 0 and (name != "avif" or may_be_avif)]


def negotiated(accept: str, media_type: str, pixels: int | None, avif_pixels: int) -> str:
    """Return ``avif``, ``webp``, ``source`` for the format of the source, or ``plain`` for neither AVIF nor WebP.

    The params are those of :func:`accepted`.
    """
    wanted = qualities(accept)
    if formats := accepted(accept, media_type, pixels, avif_pixels):
        # Of equal q-values, `max` takes the first.
        return max(formats, key=lambda name: wanted[f"image/{name}"])
    own = media_type.removeprefix("image/")
    is_refused = own in BEST_FIRST and wanted.get(media_type, 1) <= 0
    # The format of the source would be AVIF too.
    return PLAIN if is_refused or (own == "avif" and not _is_small(pixels, avif_pixels)) else "source"


def _is_small(pixels: int | None, avif_pixels: int) -> bool:
    return pixels is not None and pixels <= avif_pixels


def is_avif(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is AVIF, by its brands (ISO/IEC 14496-12, 4.3)."""
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and any(brands[at : at + 4] in (b"avif", b"avis") for at in range(0, len(brands), 4))


def most_pixels(steps: Sequence[PlannedStep], width: int, height: int) -> int:
    """Estimate the most pixels that the steps may make of a picture of that size."""
    size = _after(steps, Size(width, height))
    return size.width * size.height


def _after(steps: Sequence[PlannedStep], size: Size) -> Size:
    for step in steps:
        match step.params:
            case Deferred():
                try:
                    size = _after(step.params.lowered(size), size)
                except (UnsuitableImageError, ValidationError):
                    # The render will report the error.
                    return size
            case ResizeParams():
                size = _resized(step.params, size)
            case ThumbnailParams():
                size = _scaled(size, min(1.0, step.params.width / size.width, step.params.height / size.height))
    return size


def _resized(params: ResizeParams, size: Size) -> Size:
    width = (params.width or size.width * (params.height or 1) / size.height) * params.dpr
    height = (params.height or size.height * (params.width or 1) / size.width) * params.dpr
    across, down = width / size.width, height / size.height
    if params.fit in ("inside", "outside"):
        scale = min(across, down) if params.fit == "inside" else max(across, down)
        return _scaled(size, scale if params.enlarge else min(1.0, scale))
    return Size(max(1, round(width)), max(1, round(height)))


def _scaled(size: Size, scale: float) -> Size:
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
