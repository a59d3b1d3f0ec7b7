"""Results written to files, in the format, the quality and with the metadata that were asked for."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import pyvips

from image_processor.imaging.canvas import flattened
from image_processor.imaging.colour import in_eight_bits, in_srgb, with_alpha
from image_processor.imaging.output import ANIMATED, DEFAULT_EFFORT, DEFAULT_QUALITY, Output, Report, Tiles
from image_processor.imaging.picture import Picture, frames_of, joined
from image_processor.imaging.profiles import general_cmyk
from image_processor.imaging.ssim import comparable, ssim
from image_processor.services.codec.colors import PROFILE
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.exif_block import has_exif, write_into_tiff
from image_processor.services.codec.palette import bits_for, colors_of, with_at_most

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
    made, failures = dict[str, Path](), list[ImageError | pyvips.Error]()
    for name in candidates:
        path = result.with_name(f"{result.name}.{name}")
        try:
            _write(image, name, output, path)
            made[name] = path
        except (ImageError, pyvips.Error) as error:
            path.unlink(missing_ok=True)
            failures.append(error)
    if not made:
        raise failures[0]
    smallest = min(made, key=lambda name: made[name].stat().st_size)
    made.pop(smallest).rename(result)
    for larger in made.values():
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
        return ssim(comparable(in_srgb(image)), comparable(in_srgb(_read(path)))) >= (output.min_ssim or 0)

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


def _prepared(image: pyvips.Image, name: str, output: Output) -> pyvips.Image:
    """The image with the colours and the metadata that the file will have."""
    if output.profile != "keep" or (name != "tiff" and not _holds(name, image)):
        image = in_srgb(image)
    if name == "jpeg":
        image = flattened(image, output.background)
    return _with_metadata(_with_profile(image, name), output)


def _with_profile(image: pyvips.Image, name: str) -> pyvips.Image:
    """Return the image with a profile that the format takes, its colors converted where it takes theirs not.

    What a reader forgives a writer does not: libpng refuses what lcms can read.
    """
    if image.get_typeof(PROFILE) and not _takes(name, image):
        image = in_srgb(image)
    if not image.get_typeof(PROFILE) or (_takes(name, image) and not _is_general_cmyk(image)):
        return image
    image = image.copy()
    image.remove(PROFILE)
    return image


def _is_general_cmyk(image: pyvips.Image) -> bool:
    return image.interpretation == "cmyk" and bytes(image.get(PROFILE)) == general_cmyk()


def _takes(name: str, image: pyvips.Image) -> bool:
    """Return whether the format's writer takes the image's profile."""
    return _tried(name, bytes(image.get(PROFILE)), image.bands, image.format, image.interpretation)


@lru_cache(maxsize=64)
def _tried(name: str, profile: bytes, bands: int, band_format: str, interpretation: str) -> bool:
    pixel = pyvips.Image.black(1, 1, bands=bands).cast(band_format).copy(interpretation=interpretation)
    pixel.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    try:
        pixel.write_to_buffer(EXTENSIONS[name])
    except pyvips.Error:
        return False
    return True


def _with_metadata(image: pyvips.Image, output: Output) -> pyvips.Image:
    """Return the image without the fields of EXIF that the file will not have; :func:`_keep` says what else it has."""
    unwanted = [field for field in image.get_fields() if field.startswith("exif-") and not _stays(field, output)]
    if unwanted:
        image = image.copy()
        for field in unwanted:
            image.remove(field)
    return image


def _stays(field: str, output: Output) -> bool:
    # A small picture of what the source was, before a face was blurred or an edge cut, never stays.
    if field.startswith("exif-ifd1-"):
        return False
    if output.metadata == "keep":
        return True
    return output.metadata == "copyright" and (field == "exif-data" or field.endswith(("-Copyright", "-Artist")))


def _keep(image: pyvips.Image, output: Output) -> str:
    """Return what the saver writes of the metadata, for its ``keep``: what is not named stays out."""
    kept = [] if output.profile == "strip" else ["icc"]
    if output.metadata == "keep":
        kept += ["xmp", "iptc", "other"]
    # Without a field of it libvips would make an EXIF block of its own.
    if has_exif(image):
        kept.append("exif")
    return ":".join(kept) or "none"


def _holds(name: str, image: pyvips.Image) -> bool:
    if image.format not in ("uchar", "ushort"):
        return False
    return image.interpretation in ("srgb", "rgb16", "b-w", "grey16") or (
        image.interpretation == "cmyk" and name == "jpeg"
    )


def _save(image: pyvips.Image, name: str, output: Output, quality: int, path: Path) -> None:
    image = _without_thumbnail(image)
    _SAVERS[name](image, output, quality, path)


def _without_thumbnail(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof("jpeg-thumbnail-data"):
        return image
    image = image.copy()
    image.remove("jpeg-thumbnail-data")
    return image


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
        keep=_keep(image, output),
    )


_OPTIMIZED_PIXELS = 4_000_000

_SUBSAMPLING = {"auto": "auto", "4:2:0": "on", "4:4:4": "off"}


def _save_png(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    effort = output.effort or DEFAULT_EFFORT["png"]
    options: dict[str, object] = {
        # The level of libvips' zlib that makes files as small as those of others at this effort.
        "compression": min(9, effort + 2),
        "interlace": output.progressive,
        "keep": _keep(image, output),
    }
    if output.palette or quality < 100:
        image, dither = _with_few_colors(image, output.colours, quality, effort)
        few = {"palette": True, "Q": quality, "bitdepth": bits_for(output.colours), "effort": effort, "dither": dither}
        image.pngsave(str(path), **options, **few)
    elif not (image.get_typeof("palette") and _save_with_its_palette(image := _held(image), path, options)):
        image.pngsave(str(path), filter="all", **options)


def _save_with_its_palette(image: pyvips.Image, path: Path, options: Mapping[str, object]) -> bool:
    """Save the image with a palette and return whether that keeps every pixel."""
    colors = colors_of(image)
    if colors is None:
        return False
    image.pngsave(str(path), palette=True, dither=0, bitdepth=bits_for(colors), **options)
    saved = pyvips.Image.new_from_file(str(path))
    saved = with_alpha(saved) if image.hasalpha() else saved  # the palette has no alpha where all is opaque
    return saved.bands == image.bands and float((saved - image).abs().max()) == 0


def _with_few_colors(image: pyvips.Image, colors: int, quality: int, effort: int) -> tuple[pyvips.Image, float]:
    """Return the image for a saver that knows powers of two alone, and how much that may dither it."""
    if colors in (2, 4, 16, 256):
        return image, 1
    return with_at_most(_eight_bits(image), colors, quality, effort), 0


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    return in_eight_bits(in_srgb(image))


def _save_webp(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    effort = (output.effort or DEFAULT_EFFORT["webp"]) * 6 // 9
    image.webpsave(str(path), Q=quality, lossless=output.lossless, effort=effort, keep=_keep(image, output))


def _save_avif(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    image.heifsave(
        str(path),
        compression="av1",
        Q=quality,
        lossless=output.lossless,
        effort=output.effort or DEFAULT_EFFORT["avif"],
        subsample_mode=_SUBSAMPLING[output.subsampling],
        bitdepth=12 if image.format == "ushort" else 8,
        keep=_keep(image, output),
    )


def _save_gif(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:
    # A GIF's only quality is the number of its colours.
    bits = min((output.colours - 1).bit_length(), max(1, round(quality * 8 / 100)))
    effort = output.effort or DEFAULT_EFFORT["gif"]
    dither = 1.0
    if 2**bits > output.colours:
        image, dither = with_at_most(_eight_bits(image), output.colours, 100, effort), 0.0
    image.gifsave(
        str(path), bitdepth=bits, dither=dither, effort=effort, interlace=output.progressive, keep=_keep(image, output)
    )


def _save_tiff(image: pyvips.Image, output: Output, quality: int, path: Path) -> None:  # noqa: ARG001 (all savers' shape)
    image.tiffsave(str(path), compression="deflate", predictor="horizontal", keep=_keep(image, output))
    if has_exif(image):
        write_into_tiff(path, image)


_SAVERS: Mapping[str, Callable[[pyvips.Image, Output, int, Path], None]] = {
    "jpeg": _save_jpeg,
    "png": _save_png,
    "webp": _save_webp,
    "avif": _save_avif,
    "gif": _save_gif,
    "tiff": _save_tiff,
}
