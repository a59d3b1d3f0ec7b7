"""Writes image files: the saver of each format, and the metadata that it keeps."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pyvips

from image_processor.imaging.arrays import Pixels
from image_processor.imaging.color import in_eight_bits, in_srgb, with_alpha
from image_processor.imaging.output import DEFAULT_EFFORT, DEFAULT_QUALITY, QUICKEST, Output
from image_processor.imaging.picture import Plain
from image_processor.services.codec.exif_block import has_exif, with_resolution_in_exif, write_into_tiff
from image_processor.services.codec.palette import MOST, bits_for, colors_of, with_at_most
from image_processor.services.readers.pillow import Image

_IN_MEMORY_BYTES = 100_000_000
"""Bytes of pixels above which an image that is used several times is kept on disk."""


def save(image: pyvips.Image, format_name: str, output: Output, quality: int, most_effort: int, path: Path) -> None:
    """Write the image to ``path`` in this format.

    :param quality: replaces that of ``output``.
    :param most_effort: the maximum effort for AVIF and for the palette of a PNG or GIF (:func:`most_effort_of`).
    """
    image = _without_thumbnail(image)
    _SAVERS[format_name](image, output, quality, most_effort, path)


def most_effort_of(format_name: str, image: pyvips.Image, output: Output) -> int:
    """Return the maximum effort for AVIF or a palette, so that encoding takes less than the time limit of a task.

    It is lower for large images, and lower still if the image is encoded several times to find a quality.
    """
    is_searched = output.max_bytes is not None or output.min_ssim is not None
    pixels = image.width * image.height
    efforts = (_SEARCH_EFFORTS if is_searched else _EFFORTS).get(format_name, ())
    return next((most for least, most in efforts if pixels > least), _GREATEST_EFFORT)


_GREATEST_EFFORT = 9
_PALETTE_EFFORTS = ((6_000_000, 3), (1_000_000, 5))
_EFFORTS = {
    "avif": ((6_000_000, 2), (2_000_000, 3), (1_000_000, 5), (500_000, 6), (250_000, 7)),
    "png": _PALETTE_EFFORTS,
    "gif": _PALETTE_EFFORTS,
}
"""Pairs of a number of pixels and the maximum effort for images with more pixels. A megapixel of a noisy photograph
takes 5 seconds of processor time as AVIF at effort 4, 15 at 6 and 70 at 9."""
_PALETTE_SEARCH_EFFORTS = ((2_000_000, 3), (250_000, 5), (0, 7))
_SEARCH_EFFORTS = {
    "avif": ((1_000_000, 2), (250_000, 3), (0, 4)),
    "png": _PALETTE_SEARCH_EFFORTS,
    "gif": _PALETTE_SEARCH_EFFORTS,
}
"""The same for a search, which encodes an image about seven times. Of 499 × 499 pixels of noise, a search as AVIF takes
2 seconds of processor time at effort 3, 11 at 4 and 26 at 6. A photograph of this size takes 1 second at effort 3, 5 at
4 and 12 at 6; its file is 4 percent smaller at 4 than at 3, and another 7 percent smaller at 6."""


def _without_thumbnail(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof("jpeg-thumbnail-data"):
        return image
    image = image.copy()
    image.remove("jpeg-thumbnail-data")
    return image


def _save_jpeg(image: pyvips.Image, output: Output, quality: int, _most_effort: int, path: Path) -> None:
    effort = output.effort or DEFAULT_EFFORT["jpeg"]
    image = _with_kept_resolution(image, output)
    # Optimal Huffman codes need a second pass over the coefficients, which costs 12 bytes of memory per pixel.
    is_small = image.width * image.height <= _OPTIMIZED_PIXELS
    image.jpegsave(
        str(path),
        Q=quality,
        optimize_coding=effort > 5 or (effort > 1 and is_small),
        interlace=output.progressive,
        subsample_mode=_SUBSAMPLING[output.subsampling],
        # Only mozjpeg supports these options; a libvips without it ignores them.
        trellis_quant=effort > 5,
        overshoot_deringing=effort > 5,
        optimize_scans=effort > 5 and output.progressive,
        keep=_keep(image, output),
    )


def save_plain(plain: Plain, pixels: Pixels, output: Output, path: Path) -> bool:
    """Save an image as JPEG without EXIF, with libjpeg-turbo's encoder, which needs no pipeline.

    :returns: ``False`` if nothing was saved and :func:`save` must be used, because metadata are kept, colors change,
        the quality is searched for, or the image is too noisy for this encoder.
    """
    effort = output.effort or DEFAULT_EFFORT["jpeg"]
    is_as_stored = plain.profile is None or output.profile == "keep" or plain.is_srgb
    is_searched = output.max_bytes is not None or output.min_ssim is not None
    if effort > 5 or output.lossless or is_searched or _keeps_fields(plain, output) or not is_as_stored:
        return False
    height, width, bands = pixels.shape
    if width * height > _OPTIMIZED_PIXELS:
        return False
    quality = output.quality or DEFAULT_QUALITY["jpeg"]
    is_halved = output.subsampling == "4:2:0" or (output.subsampling == "auto" and quality < 90)
    try:
        Image.fromarray(pixels[:, :, 0] if bands == 1 else pixels).save(
            path,
            "JPEG",
            quality=quality,
            subsampling="4:2:0" if is_halved else "4:4:4",
            optimize=effort > 1,
            progressive=output.progressive,
            icc_profile=None if output.profile == "strip" else plain.profile,
        )
    except OSError as error:
        if error.errno is not None:
            raise
        # Pillow's buffer allows a byte or two per pixel; noisy images of high quality need more.
        return False
    return True


def without_metadata(plain: Plain, pixels: Pixels, formats: Collection[str], output: Output) -> pyvips.Image | None:
    """Return these pixels as an image if no metadata are kept and no color changes; otherwise ``None``.

    ``None`` means that the file must be opened with libvips.

    :param formats: the formats in which the image will be written.
    """
    is_profile_dropped = plain.profile is None or (plain.is_srgb and output.profile == "strip")
    if _keeps_fields(plain, output) or not is_profile_dropped or not _WITH_RESOLUTION.isdisjoint(formats):
        return None
    height, width, bands = pixels.shape
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, "uchar")
    return image.copy(interpretation="b-w" if bands == 1 else "srgb")


def _keeps_fields(plain: Plain, output: Output) -> bool:
    return output.metadata == "keep" or (output.metadata == "copyright" and plain.has_credits)


_OPTIMIZED_PIXELS = 4_000_000
_WITH_RESOLUTION = frozenset({"png", "tiff"})
"""Formats that always contain a resolution: the source's, even if no other metadata are kept."""

_SUBSAMPLING = {"auto": "auto", "4:2:0": "on", "4:4:4": "off"}


_QUICK_PNG: Mapping[str, object] = {"filter": "sub", "compression": 2}
"""Trying all filters for each line takes most of the time. Level 1 is a third faster, but files are 50% larger."""


def _save_png(image: pyvips.Image, output: Output, quality: int, most_effort: int, path: Path) -> None:
    effort = output.effort or DEFAULT_EFFORT["png"]
    options: dict[str, object] = {
        # The zlib level at which libvips' files are as small as those of other encoders at this effort.
        "compression": min(9, effort + 2),
        "interlace": output.progressive,
        "keep": _keep(image, output),
    }
    if output.palette or quality < 100:
        effort = min(effort, most_effort)
        image, dither = _with_few_colors(image, output.colors, quality, effort)
        few = {"palette": True, "Q": quality, "bitdepth": bits_for(output.colors), "effort": effort, "dither": dither}
        image.pngsave(str(path), **options, **few)
    elif not (image.get_typeof("palette") and _save_with_its_palette(image := materialized(image), path, options)):
        image.pngsave(str(path), **{**options, **(_QUICK_PNG if output.effort == QUICKEST else {"filter": "all"})})


def _save_with_its_palette(image: pyvips.Image, path: Path, options: Mapping[str, object]) -> bool:
    """Save the image with a palette; return whether every visible pixel is unchanged."""
    colors = colors_of(image)
    if colors is None:
        return False
    image.pngsave(str(path), palette=True, dither=0, bitdepth=bits_for(colors), **options)
    saved = pyvips.Image.new_from_file(str(path))
    saved = with_alpha(saved) if image.hasalpha() else saved  # a palette of opaque colors has no alpha
    return saved.bands == image.bands and float((_visible(saved) - _visible(image)).abs().max()) == 0


def _visible(image: pyvips.Image) -> pyvips.Image:
    """Return the image with transparent pixels turned black, as libvips writes them into palettes."""
    return (image[image.bands - 1] > 0).ifthenelse(image, 0) if image.hasalpha() else image


def _with_few_colors(image: pyvips.Image, colors: int, quality: int, effort: int) -> tuple[pyvips.Image, float]:
    """Return the image reduced to ``colors``, and the dithering for its saver.

    The saver itself supports only 2, 4, 16 and 256 colors.
    """
    if colors in (2, 4, 16, 256):
        return image, 1
    return with_at_most(_eight_bits(image), colors, quality, effort), 0


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    return in_eight_bits(in_srgb(image))


def _save_webp(image: pyvips.Image, output: Output, quality: int, _most_effort: int, path: Path) -> None:
    effort = (output.effort or DEFAULT_EFFORT["webp"]) * 6 // 9
    image = _with_kept_resolution(image, output)
    image.webpsave(str(path), Q=quality, lossless=output.lossless, effort=effort, keep=_keep(image, output))


def _save_avif(image: pyvips.Image, output: Output, quality: int, most_effort: int, path: Path) -> None:
    image = _with_kept_resolution(image, output)
    image.heifsave(
        str(path),
        compression="av1",
        Q=quality,
        lossless=output.lossless,
        effort=min(output.effort or DEFAULT_EFFORT["avif"], most_effort),
        subsample_mode=_SUBSAMPLING[output.subsampling],
        bitdepth=12 if image.format == "ushort" else 8,
        keep=_keep(image, output),
    )


def _save_gif(image: pyvips.Image, output: Output, quality: int, most_effort: int, path: Path) -> None:
    # The quality of a GIF is determined only by the number of its colors.
    bits = min((output.colors - 1).bit_length(), max(1, round(quality * 8 / 100)))
    effort = min(output.effort or DEFAULT_EFFORT["gif"], most_effort)
    dither = 1.0
    # The encoder gives each frame a palette of its own, with as many colors as its bits allow.
    has_own_palettes = output.colors < MOST and image.get_page_height() < image.height
    if 2**bits > output.colors or has_own_palettes:
        image, dither = with_at_most(_eight_bits(image), output.colors, 100, effort), 0.0
    image.gifsave(
        str(path), bitdepth=bits, dither=dither, effort=effort, interlace=output.progressive, keep=_keep(image, output)
    )


GIF_QUALITIES = (13, 25, 38, 50, 63, 75, 88, 100)
"""One quality for each palette of 1 to 8 bits."""


def _save_tiff(image: pyvips.Image, output: Output, _quality: int, _most_effort: int, path: Path) -> None:
    image.tiffsave(str(path), compression="deflate", predictor="horizontal", keep=_keep(image, output))
    if has_exif(image):
        write_into_tiff(path, image, whole=output.metadata == "keep")


_SAVERS: Mapping[str, Callable[[pyvips.Image, Output, int, int, Path], None]] = {
    "jpeg": _save_jpeg,
    "png": _save_png,
    "webp": _save_webp,
    "avif": _save_avif,
    "gif": _save_gif,
    "tiff": _save_tiff,
}


def _keep(image: pyvips.Image, output: Output) -> str:
    """Return the metadata to write, as the saver's option ``keep``."""
    kept = [] if output.profile == "strip" else ["icc"]
    if output.metadata == "keep":
        kept += ["xmp", "iptc", "other"]
    # Without EXIF fields libvips would write an EXIF block of its own.
    if has_exif(image):
        kept.append("exif")
    return ":".join(kept) or "none"


def _with_kept_resolution(image: pyvips.Image, output: Output) -> pyvips.Image:
    """Return the image with its resolution in EXIF if metadata are kept: these formats have no other place for it."""
    if output.metadata != "keep" or has_exif(image) or not _has_resolution(image):
        return image
    return with_resolution_in_exif(image)


def _has_resolution(image: pyvips.Image) -> bool:
    """Return whether the source states a resolution."""
    return bool(image.get_typeof("resolution-unit")) or round(image.xres, 2) not in _UNSTATED_RESOLUTIONS


_UNSTATED_RESOLUTIONS = (1, 2.83)
"""Dots per millimeter of an image from memory, and of a file that states none (72 dots per inch)."""


def materialized(image: pyvips.Image, count: int = 1) -> pyvips.Image:
    """Return the image with its pixels computed, in memory or, if there are many pixels, in a temporary file.

    :param count: how many images of this size will exist.
    """
    if image.width * image.height * image.bands * count <= _IN_MEMORY_BYTES:
        return image.copy_memory()
    file = pyvips.Image.new_temp_file("%s.v")
    image.write(file)
    return file
