"""Results written to files, in the format, the quality and with the metadata that were asked for."""

from bisect import bisect_left
from functools import lru_cache
from pathlib import Path

import pyvips

from image_processor.imaging.canvas import flattened
from image_processor.imaging.colour import in_srgb
from image_processor.imaging.output import ANIMATED, DEFAULT_QUALITY, Output, Report, Tiles
from image_processor.imaging.picture import Picture, frames_of, joined
from image_processor.imaging.profiles import general_cmyk
from image_processor.imaging.ssim import comparable, ssim
from image_processor.services.codec.colors import PROFILE
from image_processor.services.codec.descriptions import without_dropped_parts
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.saving import held, save
from image_processor.services.decoding import Decoded

EXTENSIONS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif", "gif": ".gif", "tiff": ".tif"}

_LARGEST_SIDE = {"webp": 16_383, "avif": 16_384, "jpeg": 65_535, "gif": 65_535}
_LOSSY = ("jpeg", "gif")


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


def source_format(decoded: Decoded, picture: Picture) -> str:
    """Return the format of a result "as the source".

    A format that Pixmill does not write becomes PNG, where the picture has alpha or the source is lossless, or JPEG.
    """
    if decoded.format in EXTENSIONS:
        return decoded.format
    return "png" if decoded.lossless or picture.first.hasalpha() else "jpeg"


def write_picture(picture: Picture, output: Output, source_format: str, result: Path) -> str:
    """Writes the picture and gives the name of the format; of an animation, the first frame where it must.

    :raises ImageError: the format cannot hold it, or it cannot be made as small as was asked.
    """
    animated = len(picture.frames) > 1
    chosen = source_format if output.format == "source" else output.format
    if animated and output.format == "source" and chosen not in ANIMATED:
        chosen = "webp"
    image = joined(picture) if chosen in ("auto", *ANIMATED) else picture.first
    image = image if encodes_once(output) else held(image)
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
        save(prepared, name, output, quality, path)
    elif name == "tiff":
        raise ImageError("A TIFF has no quality to choose: take another format with max_bytes or min_ssim.")
    else:
        _search(prepared, name, output, path)


def _search(image: pyvips.Image, name: str, output: Output, path: Path) -> None:
    """Bisects the quality, 1 to 100 or as high as was given: both the size and the SSIM grow with it."""
    highest = output.quality or 100

    def is_alike(quality: int) -> bool:
        save(image, name, output, quality, path)
        return ssim(comparable(in_srgb(image)), comparable(in_srgb(_read(path)))) >= (output.min_ssim or 0)

    def is_too_large(quality: int) -> bool:
        save(image, name, output, quality, path)
        return path.stat().st_size > (output.max_bytes or 0)

    if output.min_ssim is not None:
        best = 1 + bisect_left(range(1, highest), True, key=is_alike)  # noqa: FBT003 (the first that is)
    else:
        best = max(1, bisect_left(range(1, highest + 1), True, key=is_too_large))  # noqa: FBT003 (the last that is not)
    save(image, name, output, best, path)
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
    return without_dropped_parts(_with_metadata(_with_profile(image, name), output), name)


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


def _holds(name: str, image: pyvips.Image) -> bool:
    if image.format not in ("uchar", "ushort"):
        return False
    return image.interpretation in ("srgb", "rgb16", "b-w", "grey16") or (
        image.interpretation == "cmyk" and name == "jpeg"
    )
