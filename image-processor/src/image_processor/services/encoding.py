"""Results written to files, in the format, the quality and with the metadata that were asked for."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path

import pyvips

from image_processor.imaging.canvas import flattened
from image_processor.imaging.colour import in_srgb
from image_processor.imaging.output import ANIMATED, DEFAULT_EFFORT, DEFAULT_QUALITY, Output, Report, Tiles
from image_processor.imaging.picture import Picture, frames_of, joined
from image_processor.imaging.ssim import ssim
from image_processor.services.decoding import ImageError

EXTENSIONS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif", "gif": ".gif", "tiff": ".tif"}

_LARGEST_SIDE = {"webp": 16_383, "avif": 16_384, "jpeg": 65_535, "gif": 65_535}
_LOSSY = ("jpeg", "gif")
_HELD_BYTES = 100_000_000
"""A larger result that is encoded several times waits on disk."""


def write_report(report: Report, result: Path) -> str:
    """Writes what an analysis found, and gives the file's extension."""
    result.write_text(report.model_dump_json(indent=2, exclude_none=True) + "\n", "utf-8")
    return ".json"


def write_tiles(picture: Picture, tiles: Tiles, result: Path) -> str:
    """Writes a pyramid of tiles, and gives the file's extension."""
    image = in_srgb(picture.first)
    image.dzsave(
        str(result),
        basename="image",
        layout=tiles.layout,
        suffix=_TILES[tiles.format].format(quality=tiles.quality),
        tile_size=tiles.tile_size,
        overlap=tiles.overlap,
        id=tiles.id,
        container="zip",
        background=[255],
    )
    return ".zip"


_TILES = {"jpeg": ".jpg[Q={quality}]", "png": ".png", "webp": ".webp[Q={quality}]"}


def encodes_once(encoding: Output | Tiles) -> bool:
    """Whether the pixels are needed once only: no format and no quality is searched for."""
    if isinstance(encoding, Tiles):
        return True
    return encoding.format != "auto" and encoding.max_bytes is None and encoding.min_ssim is None


def write_picture(picture: Picture, output: Output, source_format: str, result: Path) -> str:
    """Writes the picture and gives the name of the format; of an animation, the first frame where it must.

    :raises ImageError: the format cannot hold it, or it cannot be made as small as was asked.
    """
    animated = len(picture.frames) > 1
    chosen = source_format if output.format == "source" else output.format
    if animated and output.format == "source" and chosen not in ANIMATED:
        chosen = "webp"
    image = joined(picture) if chosen in ("auto", *ANIMATED) else picture.first
    image = image if encodes_once(output) else _held(image)
    if chosen != "auto":
        _write(image, chosen, output, result)
        return chosen
    candidates = ["webp"] if animated else ["avif", "webp"]
    paths = {name: result.with_name(f"{result.name}.{name}") for name in candidates}
    for name, path in paths.items():
        _write(image, name, output, path)
    smallest = min(paths, key=lambda name: paths[name].stat().st_size)
    paths.pop(smallest).rename(result)
    for larger in paths.values():
        larger.unlink()
    return smallest


def _held(image: pyvips.Image) -> pyvips.Image:
    if image.width * image.height * image.bands <= _HELD_BYTES:
        return image.copy_memory()
    held = pyvips.Image.new_temp_file("%s.v")
    image.write(held)
    return held


def _write(image: pyvips.Image, name: str, output: Output, path: Path) -> None:
    prepared = _prepared(image, name, output)
    if output.lossless and name in _LOSSY:
        raise ImageError(f"{name.upper()} has no lossless form: choose PNG, WebP or AVIF.")
    largest = _LARGEST_SIDE.get(name, 2**31)
    height = prepared.get_page_height() if name in ANIMATED else prepared.height
    if max(prepared.width, height) > largest:
        raise ImageError(f"The result has {prepared.width} × {height} pixels; {name.upper()} holds {largest:,} a side.")
    quality = output.quality or DEFAULT_QUALITY.get(name, 100)
    if output.max_bytes is None and output.min_ssim is None:
        _save(prepared, name, output, quality, path)
    elif name == "tiff":
        raise ImageError("A TIFF has no quality to choose: take another format with max_bytes or min_ssim.")
    else:
        _search(prepared, name, output, path)


def _search(image: pyvips.Image, name: str, output: Output, path: Path) -> None:
    """Bisects the quality, 1 to 100 or as high as was given: both the size and the SSIM grow with it."""
    highest = output.quality or 100

    def is_alike(quality: int) -> bool:
        _save(image, name, output, quality, path)
        return ssim(_comparable(image), _comparable(_read(path))) >= (output.min_ssim or 0)

    def is_too_large(quality: int) -> bool:
        _save(image, name, output, quality, path)
        return path.stat().st_size > (output.max_bytes or 0)

    if output.min_ssim is not None:
        best = 1 + bisect_left(range(1, highest), True, key=is_alike)  # noqa: FBT003 (the first that is)
    else:
        best = max(1, bisect_left(range(1, highest + 1), True, key=is_too_large))  # noqa: FBT003 (the last that is not)
    _save(image, name, output, best, path)
    size = path.stat().st_size
    if output.max_bytes is not None and size > output.max_bytes:
        wanted = "" if output.min_ssim is None else f" at an SSIM of {output.min_ssim}"
        raise ImageError(
            f"As {name.upper()} the smallest result{wanted} has {size:,} bytes, more than {output.max_bytes:,}: "
            "make the image smaller first, or choose another format."
        )


def _read(path: Path) -> pyvips.Image:
    image = pyvips.Image.new_from_file(str(path))
    return pyvips.Image.new_from_file(str(path), n=-1) if frames_of(image) > 1 else image


def _comparable(image: pyvips.Image) -> pyvips.Image:
    return flattened(in_srgb(image), "#808080").colourspace("b-w").cast("uchar")


def _prepared(image: pyvips.Image, name: str, output: Output) -> pyvips.Image:
    """The image with the colours and the metadata that the file will have."""
    if output.profile != "keep" or (name != "tiff" and not _holds(name, image)):
        image = in_srgb(image)
    if name == "jpeg":
        image = flattened(image, output.background)
    fields = [field for field in image.get_fields() if _is_removed(field, output)]
    if fields:
        image = image.copy()
        for field in fields:
            image.remove(field)
    return image


def _holds(name: str, image: pyvips.Image) -> bool:
    if image.format not in ("uchar", "ushort"):
        return False
    return image.interpretation in ("srgb", "rgb16", "b-w", "grey16") or (
        image.interpretation == "cmyk" and name == "jpeg"
    )


_OF_THE_SOURCE = ("jpeg-thumbnail-data", "exif-ifd1-", "gainmap-")
"""A small picture of what the source was, before a face was blurred or an edge cut; a map of its brightness."""


def _is_removed(field: str, output: Output) -> bool:
    if field == "icc-profile-data":
        return output.profile == "strip"
    if field.startswith(_OF_THE_SOURCE):
        return True
    if output.metadata == "keep":
        return False
    if field == "exif-data" or field.endswith(("-Copyright", "-Artist")):
        return output.metadata == "strip"
    return field.startswith(("exif-", "xmp-", "iptc-", "photoshop-", "png-comment-", "gif-comment"))


def _save(image: pyvips.Image, name: str, output: Output, quality: int, path: Path) -> None:
    _SAVERS[name](image, output, quality, path)


def _save_jpeg(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    effort = output.effort or DEFAULT_EFFORT["jpeg"]
    # The best Huffman code needs a second look at all that is encoded: 12 bytes of memory a pixel.
    is_small = image.width * image.height <= _OPTIMIZED_PIXELS
    image.jpegsave(
        str(path),
        Q=quality,
        optimize_coding=effort > 5 or (effort > 1 and is_small),
        interlace=output.progressive,
        subsample_mode=_SUBSAMPLING[output.subsampling],
        # mozjpeg's means; a libvips without it ignores them.
        trellis_quant=effort > 5,
        overshoot_deringing=effort > 5,
        optimize_scans=effort > 5 and output.progressive,
    )


_OPTIMIZED_PIXELS = 4_000_000

_SUBSAMPLING = {"auto": "auto", "4:2:0": "on", "4:4:4": "off"}


def _save_png(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    effort = output.effort or DEFAULT_EFFORT["png"]
    options: dict[str, object] = {"compression": effort, "interlace": output.progressive}
    if output.palette or quality < 100:
        options |= {"palette": True, "Q": quality, "bitdepth": _bits(output.colours), "effort": effort}
    image.pngsave(str(path), **options)


def _bits(colours: int) -> int:
    """Bits that so many colours need; PNG has palettes of 1, 2, 4 and 8."""
    return next(bits for bits in (1, 2, 4, 8) if 2**bits >= colours)


def _save_webp(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    effort = (output.effort or DEFAULT_EFFORT["webp"]) * 6 // 9
    image.webpsave(str(path), Q=quality, lossless=output.lossless, effort=effort)


def _save_avif(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    image.heifsave(
        str(path),
        compression="av1",
        Q=quality,
        lossless=output.lossless,
        effort=output.effort or DEFAULT_EFFORT["avif"],
        subsample_mode=_SUBSAMPLING[output.subsampling],
        bitdepth=12 if image.format == "ushort" else 8,
    )


def _save_gif(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    # A GIF's only quality is the number of its colours.
    bits = min((output.colours - 1).bit_length(), max(1, round(quality * 8 / 100)))
    effort = output.effort or DEFAULT_EFFORT["gif"]
    image.gifsave(str(path), bitdepth=bits, effort=effort, interlace=output.progressive)


def _save_tiff(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:  # noqa: ARG001 (all savers' shape)
    image.tiffsave(str(path), compression="deflate", predictor="horizontal")


_SAVERS: Mapping[str, Callable[[pyvips.Image, Output, int, Path], None]] = {
    "jpeg": _save_jpeg,
    "png": _save_png,
    "webp": _save_webp,
    "avif": _save_avif,
    "gif": _save_gif,
    "tiff": _save_tiff,
}
