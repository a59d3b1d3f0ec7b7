"""Encodes results in the requested format, quality and metadata."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyvips
from service_kit.texts import sentence

from image_processor.imaging.alpha import without_hidden_colors
from image_processor.imaging.canvas import flattened
from image_processor.imaging.color import in_srgb, is_srgb
from image_processor.imaging.compact_cmyk import compact_cmyk
from image_processor.imaging.output import ANIMATED, Output, Report, Tiles
from image_processor.imaging.picture import Picture, joined
from image_processor.imaging.profiles import general_cmyk, remembered
from image_processor.services.causes import Cause
from image_processor.services.codec.candidates import candidates, without_opaque_alpha
from image_processor.services.codec.colors import PROFILE, is_adobe_rgb_by_exif, with_exif_of_srgb
from image_processor.services.codec.credits import with_credits
from image_processor.services.codec.decoding import Decoded
from image_processor.services.codec.descriptions import without_dropped_parts
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.saving import materialized, save_plain, without_metadata
from image_processor.services.codec.search import Encoder
from image_processor.services.codec.smallest import write_smallest

EXTENSIONS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif", "gif": ".gif", "tiff": ".tif"}

_LARGEST_SIDE = {"webp": 16_383, "avif": 16_384, "jpeg": 65_535, "gif": 65_535}
_LOSSY = ("jpeg", "gif")
_MIXING = ("webp", "avif")
"""Formats with alpha whose lossy compression mixes the colors of neighboring pixels."""


def write_report(report: Report, result: Path) -> str:
    """Write the result of an analysis and return the file's extension."""
    result.write_text(report.model_dump_json(indent=2, exclude_none=True) + "\n", "utf-8")
    return ".json"


def write_tiles(picture: Picture, tiles: Tiles, result: Path) -> str:
    """Write a pyramid of tiles and return the file's extension."""
    image = in_srgb(picture.first)
    # libvips averages colors without weighting them by alpha; JPEG has no alpha.
    image = flattened(image, "#ffffff") if tiles.format == "jpeg" else without_hidden_colors(materialized(image))
    image.dzsave(
        str(result),
        basename="image",
        layout=tiles.layout,
        suffix=_TILES[tiles.format].format(quality=tiles.quality),
        tile_size=tiles.tile_size,
        overlap=tiles.overlap,
        **({} if tiles.id is None else {"id": tiles.id}),
        container="zip",
        background=[255],
    )
    return ".zip"


_TILES = {"jpeg": ".jpg[Q={quality}]", "png": ".png", "webp": ".webp[Q={quality}]"}


def encodes_once(encoding: Output | Tiles) -> bool:
    """Return whether the pixels are needed only once: neither the format nor the quality has to be searched for."""
    if isinstance(encoding, Tiles):
        return True
    return encoding.format != "auto" and encoding.max_bytes is None and encoding.min_ssim is None


def source_format(decoded: Decoded, picture: Picture, avoided: Collection[str] = ()) -> str:
    """Return the output format for ``"format": "source"``.

    If Pixmill does not write the source's format: PNG for pictures with alpha or lossless sources, otherwise JPEG.

    :param avoided: formats that count as not written.
    """
    if decoded.format in EXTENSIONS and decoded.format not in avoided:
        return decoded.format
    if len(picture.frames) > 1 and "webp" in avoided:
        return "gif"
    return "png" if decoded.lossless or picture.first.hasalpha() else "jpeg"


def write_picture(
    picture: Picture,
    output: Output,
    by_format: Mapping[str, Output],
    compared: Sequence[str],
    source_format: str,
    result: Path,
) -> str:
    """Write the picture and return the format's name; a still format gets the first frame of an animation.

    :param by_format: outputs that replace ``output`` in the formats that they are named after.
    :param compared: the formats of which ``auto`` is the one with the smallest file.
    :raises ImageError: the format cannot hold the picture, or the file cannot be made as small as requested.
    """
    animated = len(picture.frames) > 1
    chosen = source_format if output.format == "source" else output.format
    if animated and output.format == "source" and chosen not in ANIMATED:
        chosen = "webp"
    output = by_format.get(chosen, output)
    plain, image = picture.plain, None
    if plain is not None and plain.pixels is not None:
        if chosen == "jpeg" and save_plain(plain, plain.pixels, output, result):
            return chosen
        image = without_metadata(plain, plain.pixels, compared if chosen == "auto" else (chosen,), output)
    if image is None:
        image = joined(picture) if chosen in ("auto", *ANIMATED) else picture.first
    image = image if encodes_once(output) else materialized(image)
    if chosen != "auto":
        _encoding(image, chosen, output, result).write()
        return chosen
    if "jpeg" in compared and not animated:
        image = without_opaque_alpha(image)
    outputs = {name: by_format.get(name, output) for name in compared}
    return _write_smallest(image, candidates(image, compared, outputs, animated=animated), result)


def _write_smallest(image: pyvips.Image, outputs: Sequence[tuple[str, Output]], result: Path) -> str:
    """Write the image as the smallest file and return its format.

    :param outputs: each candidate with the name of its format.
    """
    encodings, failures = list[Encoder](), list[ImageError | pyvips.Error]()
    for number, (format_name, output) in enumerate(outputs):
        path = result.with_name(f"{result.name}.{number}.{format_name}")
        try:
            encodings.append(_encoding(image, format_name, output, path))
        except ImageError as error:
            failures.append(error)
    return write_smallest(encodings, failures, result)


def _encoding(image: pyvips.Image, format_name: str, output: Output, path: Path) -> Encoder:
    """Return the encoding of the image in the format.

    :raises ImageError: the format cannot hold the image, or does not support these options.
    """
    prepared = _prepared(image, format_name, output)
    if output.lossless and format_name in _LOSSY:
        detail = sentence("{format} cannot be lossless: choose PNG, WebP or AVIF.", format=format_name.upper())
        raise ImageError(detail, Cause.OUTPUT_IMPOSSIBLE)
    largest = _LARGEST_SIDE.get(format_name, 2**31)
    height = prepared.get_page_height() if format_name in ANIMATED else prepared.height
    if max(prepared.width, height) > largest:
        detail = sentence(
            "The result has {width} × {height} pixels; the limit of {format} is {largest:,} per side.",
            width=prepared.width,
            height=height,
            format=format_name.upper(),
            largest=largest,
        )
        raise ImageError(detail, Cause.OUTPUT_IMPOSSIBLE)
    if format_name == "tiff" and (output.max_bytes is not None or output.min_ssim is not None):
        detail = sentence("TIFF has no quality setting: choose another format for max_bytes or min_ssim.")
        raise ImageError(detail, Cause.OUTPUT_IMPOSSIBLE)
    return Encoder(prepared, format_name, output, path)


def _prepared(image: pyvips.Image, format_name: str, output: Output) -> pyvips.Image:
    """Return the image with the colors and metadata of the output file."""
    if output.profile != "keep" or (format_name != "tiff" and not _holds(format_name, image)):
        image = in_srgb(image)
    if format_name == "jpeg":
        image = flattened(image, output.background)
    if format_name in _MIXING and image.hasalpha() and not output.lossless:
        image = materialized(without_hidden_colors(materialized(image)))
    described = _with_metadata(_with_color_space(_with_profile(image, format_name), output), output)
    return without_dropped_parts(described, format_name)


def _with_profile(image: pyvips.Image, format_name: str) -> pyvips.Image:
    """Return the image with a profile that the format accepts; convert it to sRGB if its own profile is not accepted.

    Writers are stricter than readers: libpng refuses some profiles that lcms can read.
    """
    if image.get_typeof(PROFILE) and not _takes(format_name, image):
        image = in_srgb(image)
    if not image.get_typeof(PROFILE):
        return image
    general = _is_general_cmyk(image)
    if _takes(format_name, image) and not general:
        return image
    image = image.copy()
    if general:
        image.set_type(pyvips.GValue.blob_type, PROFILE, compact_cmyk())
    else:
        image.remove(PROFILE)
    return image


def _with_color_space(image: pyvips.Image, output: Output) -> pyvips.Image:
    """Return the image; if its colors were converted to sRGB, replace Adobe RGB in its EXIF."""
    has_other = bool(image.get_typeof(PROFILE)) and output.profile == "keep" and not is_srgb(image)
    return image if has_other or not is_adobe_rgb_by_exif(image) else with_exif_of_srgb(image)


def _is_general_cmyk(image: pyvips.Image) -> bool:
    return image.interpretation == "cmyk" and bytes(image.get(PROFILE)) == general_cmyk()


def _takes(format_name: str, image: pyvips.Image) -> bool:
    """Return whether the format's writer keeps the image's profile instead of refusing or dropping it."""
    return _tried(bytes(image.get(PROFILE)), format_name, image.bands, image.format, image.interpretation)


@remembered
def _tried(profile: bytes, format_name: str, bands: int, band_format: str, interpretation: str) -> bool:
    pixel = pyvips.Image.black(1, 1, bands=bands).cast(band_format).copy(interpretation=interpretation)
    pixel.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    try:
        written = pyvips.Image.new_from_buffer(pixel.write_to_buffer(EXTENSIONS[format_name]), "")
    except pyvips.Error:
        return False
    return bool(written.get_typeof(PROFILE)) and bytes(written.get(PROFILE)) == profile


def _with_metadata(image: pyvips.Image, output: Output) -> pyvips.Image:
    """Return the image without unwanted EXIF fields; the savers drop all other unwanted metadata."""
    if output.metadata == "copyright":
        image = with_credits(image)
    unwanted = [field for field in image.get_fields() if field.startswith("exif-") and not _stays(field, output)]
    if unwanted:
        image = image.copy()
        for field in unwanted:
            image.remove(field)
    return image


def _stays(field: str, output: Output) -> bool:
    # A thumbnail shows the source as it was before a face was blurred or an edge cropped: always drop it.
    if field.startswith("exif-ifd1-"):
        return False
    if output.metadata == "keep":
        return True
    return output.metadata == "copyright" and (field == "exif-data" or field.endswith(("-Copyright", "-Artist")))


def _holds(format_name: str, image: pyvips.Image) -> bool:
    if image.format not in ("uchar", "ushort"):
        return False
    return image.interpretation in ("srgb", "rgb16", "b-w", "grey16") or (
        image.interpretation == "cmyk" and format_name == "jpeg"
    )
