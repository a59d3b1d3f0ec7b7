"""Parses the processing options of imgproxy's URLs."""

import math
import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service_kit.texts import counted, sentence

from image_processor.render.problems import bad_option, unsupported

Value = bool | int | float | str | Sequence[str] | Sequence[Sequence[float]] | Mapping[str, float]
Values = dict[str, Value]
"""Values by key, such as ``gravity.type``; a missing key stands for the default."""

Apply = Callable[[Values, str, Sequence[str]], None]
"""Stores the arguments of an option, given under that name, in the values."""

TRUE = ("1", "t", "T", "TRUE", "true", "True")
RESIZING_TYPES = ("fit", "fill", "fill-down", "force", "auto")
FORMATS: Mapping[str, str] = {
    name: name for name in ("jpeg", "png", "webp", "avif", "gif", "ico", "svg", "tiff", "bmp", "jxl", "heic", "psd")
} | {"jpg": "jpeg"}
COMPASS = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")
_EXTEND_GRAVITIES = (*COMPASS, "fp")
_CROP_GRAVITIES = (*COMPASS, "fp", "sm")
_PRO_GRAVITIES = (*_CROP_GRAVITIES, "obj", "objw")
_WATERMARK_GRAVITIES = (*COMPASS, "re")
_MOST_DIGITS = 18
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX = re.compile(r"(?:[0-9a-fA-F]{3}){1,2}")


@dataclass(frozen=True)
class Option:
    """An option of a URL.

    :param names: the long name and its short ones.
    :param pro: whether only imgproxy Pro supports it.
    :param secure: whether a setting must allow it, because it changes a limit.
    """

    names: Sequence[str]
    apply: Apply
    pro: bool = False
    secure: bool = False


def at_most(args: Sequence[str], limit: int, option: str) -> None:
    """Check the number of arguments.

    :raises DomainError: there are more than ``limit``.
    """
    if len(args) > limit:
        raise bad_option(
            option,
            counted(
                "it has at most {limit} argument, not {count}",
                "it has at most {limit} arguments, not {count}",
                "limit",
                limit=limit,
                count=len(args),
            ),
        )


def boolean(text: str, option: str) -> bool:  # noqa: ARG001 (the signature of every reader)
    """Return whether the text is true; an invalid boolean is false."""
    return text in TRUE


def integer(text: str, option: str) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > _MOST_DIGITS:
        raise bad_option(option, sentence("'{text}' is not an integer", text=text[:100]))
    return int(text)


def count(text: str, option: str) -> int:
    """Return an integer of at least 0."""
    if (number := integer(text, option)) < 0:
        raise bad_option(option, sentence("{number} is less than 0", number=number))
    return number


def positive_integer(text: str, option: str) -> int:
    if (number := integer(text, option)) < 1:
        raise bad_option(option, sentence("{number} is less than 1", number=number))
    return number


def number(text: str, option: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(found := float(text)):
        raise bad_option(option, sentence("'{text}' is not a number", text=text[:100]))
    return found


def length(text: str, option: str) -> float:
    """Return a number of at least 0."""
    if (value := number(text, option)) < 0:
        raise bad_option(option, sentence("{text} is less than 0", text=text))
    return value


def positive(text: str, option: str) -> float:
    if (value := number(text, option)) <= 0:
        raise bad_option(option, sentence("{text} is not more than 0", text=text))
    return value


def share(text: str, option: str) -> float:
    if not 0 <= (value := number(text, option)) <= 1:
        raise bad_option(option, sentence("{text} is not from 0 to 1", text=text))
    return value


def quality(text: str, option: str) -> int:
    if not 0 <= (value := integer(text, option)) <= 100:
        raise bad_option(option, sentence("{text} is not from 0 to 100", text=text))
    return value


def pixels(text: str, option: str) -> int:
    """Convert megapixels to pixels."""
    return int(length(text, option) * 1_000_000)


def color(text: str, option: str) -> str:
    if not _HEX.fullmatch(text):
        raise bad_option(option, sentence("'{text}' is not a color of 3 or 6 hexadecimal digits", text=text))
    digits = text if len(text) == 6 else "".join(digit * 2 for digit in text)
    return f"#{digits.lower()}"


def file_format(text: str, option: str) -> str:
    if text not in FORMATS:
        raise bad_option(
            option, sentence("'{text}' is not a format; there are: {names}", text=text, names=", ".join(FORMATS))
        )
    return FORMATS[text]


def base64(text: str, option: str) -> str:
    return decoded(text, lambda: bad_option(option, sentence("'{text}' is not base64url of UTF-8", text=text)))


def decoded(text: str, error: Callable[[], Exception]) -> str:
    """Decode base64url; the padding may be missing."""
    encoded = text.rstrip("=")
    if re.fullmatch(r"[A-Za-z0-9_-]*", encoded) is None or len(encoded) % 4 == 1:
        raise error()
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (Base64Error, UnicodeDecodeError) as problem:
        raise error() from problem


def plain(text: str, option: str) -> str:  # noqa: ARG001 (the signature of every reader)
    return text


def one_of(*words: str) -> Callable[[str, str], str]:
    def read(text: str, option: str) -> str:
        if text not in words:
            raise bad_option(
                option, sentence("there is no '{text}'; there are: {names}", text=text, names=", ".join(words))
            )
        return text

    return read


def rotation(text: str, option: str) -> int:
    if (degrees := integer(text, option)) % 90:
        raise bad_option(option, sentence("{number} is not a multiple of 90", number=degrees))
    return degrees


Read = Callable[[str, str], Value]


def single(key: str, read: Read) -> Apply:
    """Return a function that stores the only argument under the key."""

    def apply(values: Values, option: str, args: Sequence[str]) -> None:
        at_most(args, 1, option)
        values[key] = read(args[0], option)

    return apply


def several(*parts: tuple[str, Read]) -> Apply:
    """Return a function that stores each argument under its key; an empty or missing one keeps the previous value."""

    def apply(values: Values, option: str, args: Sequence[str]) -> None:
        at_most(args, len(parts), option)
        for (key, read), argument in zip(parts, args, strict=False):
            if argument:
                values[key] = read(argument, option)

    return apply


def gravity(key: str, allowed: Sequence[str]) -> Apply:
    def apply(values: Values, option: str, args: Sequence[str]) -> None:
        kind = one_of(*allowed)(args[0], option)
        if kind == "sm":
            at_most(args, 1, option)
        if kind in ("obj", "objw"):
            _objects(values, key, option, args)
            return
        at_most(args, 3, option)
        if kind == "fp" and len(args) != 3:
            raise bad_option(option, sentence("a focus point has two coordinates"))
        values[f"{key}.type"] = kind
        if kind == "sm":
            values.pop(f"{key}.x_offset", None)
            values.pop(f"{key}.y_offset", None)
        for axis, argument in zip("xy", args[1:], strict=False):
            if argument or kind == "fp":
                values[f"{key}.{axis}_offset"] = (share if kind == "fp" else number)(argument, option)

    return apply


def _objects(values: Values, key: str, option: str, args: Sequence[str]) -> None:
    values[f"{key}.type"] = args[0]
    if args[0] == "obj":
        values[f"{key}.classes"] = list(args[1:])
        return
    if len(args) % 2 == 0:
        raise bad_option(option, sentence("each class of objects has a weight"))
    weights = zip(args[1::2], args[2::2], strict=True)
    values[f"{key}.weights"] = {name: number(weight, option) for name, weight in weights}


def extend(key: str) -> Apply:
    def apply(values: Values, option: str, args: Sequence[str]) -> None:
        at_most(args, 4, option)
        values[f"{key}.enabled"] = boolean(args[0], option)
        if len(args) > 1:
            gravity(f"{key}.gravity", _EXTEND_GRAVITIES)(values, option, args[1:])

    return apply


def size(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 7, option)
    several(("width", count), ("height", count), ("enlarge", boolean))(values, option, args[:3])
    if len(args) > 3 and args[3]:
        extend("extend")(values, option, args[3:])


def resize(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 8, option)
    if args[0]:
        values["resizing_type"] = one_of(*RESIZING_TYPES)(args[0], option)
    size(values, option, args[1:])


def zoom(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 2, option)
    values["zoom_width"] = positive(args[0], option)
    values["zoom_height"] = positive(args[1], option) if len(args) > 1 else values["zoom_width"]


def crop(allowed: Sequence[str]) -> Apply:
    def apply(values: Values, option: str, args: Sequence[str]) -> None:
        several(("crop.width", length), ("crop.height", length))(values, option, args[:2])
        if len(args) > 2:
            gravity("crop.gravity", allowed)(values, option, args[2:])

    return apply


def trim(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 4, option)
    values.pop("trim.threshold", None)
    values.pop("trim.color", None)
    several(
        ("trim.threshold", number),
        ("trim.color", color),
        ("trim.equal_horizontal", boolean),
        ("trim.equal_vertical", boolean),
    )(values, option, args)


def padding(values: Values, option: str, args: Sequence[str]) -> None:
    """Store the sides as in CSS: a missing side equals the opposite one; a missing top stays as it is."""
    at_most(args, 4, option)
    sides = (("top", "top"), ("right", "top"), ("bottom", "top"), ("left", "right"))
    for (side, opposite), argument in zip(sides, [*args, "", "", ""], strict=False):
        if argument:
            values[f"padding.{side}"] = count(argument, option)
        elif (same := values.get(f"padding.{opposite}")) is not None:
            values[f"padding.{side}"] = same


def format_quality(values: Values, option: str, args: Sequence[str]) -> None:
    if len(args) % 2:
        raise bad_option(option, sentence("there is no quality for '{text}'", text=args[-1]))
    for name, value in zip(args[::2], args[1::2], strict=True):
        values[f"format_quality.{file_format(name, option)}"] = quality(value, option)


def background(values: Values, option: str, args: Sequence[str]) -> None:
    if len(args) == 3:
        bands = [count(argument, option) for argument in args]
        if max(bands) > 255:
            raise bad_option(option, sentence("{number} is more than 255", number=max(bands)))
        values["background"] = "#" + "".join(f"{band:02x}" for band in bands)
    elif len(args) == 1:
        values.pop("background", None)
        if args[0]:
            values["background"] = color(args[0], option)
    else:
        raise bad_option(option, sentence("it is a color of 3 or 6 hexadecimal digits, or three numbers"))


def watermark(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 7, option)
    values["watermark.opacity"] = share(args[0], option)
    several(
        ("watermark.position", one_of(*_WATERMARK_GRAVITIES)),
        ("watermark.x_offset", number),
        ("watermark.y_offset", number),
        ("watermark.scale", positive),
    )(values, option, args[1:5])


def pro_watermark(values: Values, option: str, args: Sequence[str]) -> None:
    if len(args) > 1 and args[1] == "ch":
        raise unsupported("watermark:ch", sentence("a mark is repeated in rows, not as on a chessboard"))
    watermark(values, option, args)


def contrast(values: Values, option: str, args: Sequence[str]) -> None:
    if option == "co" and len(args) > 1:
        # imgproxy's documentation gives `co` to both.
        raise unsupported("co", sentence("it is short for `contrast`; write `crop_objects` in full"))
    single("contrast", length)(values, option, args)


def filename(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 2, option)
    encoded = len(args) > 1 and boolean(args[1], option)
    values["filename"] = base64(args[0], option) if encoded else args[0]


def cachebuster(values: Values, option: str, args: Sequence[str]) -> None:
    at_most(args, 1, option)
    values.pop("cachebuster", None)
    if args[0]:
        values["cachebuster"] = args[0]


def skip_processing(values: Values, option: str, args: Sequence[str]) -> None:
    before = values.get("skip_processing", [])
    names = [*before] if isinstance(before, list) else []
    values["skip_processing"] = [*names, *(file_format(argument, option) for argument in args)]


def list_of(key: str) -> Apply:
    def apply(values: Values, option: str, args: Sequence[str]) -> None:  # noqa: ARG001 (the signature of every option)
        values[key] = [argument for argument in args if argument]

    return apply


def classes_after(*parts: tuple[str, Read], key: str) -> Apply:
    """Return a function that stores the first arguments under their keys, and the others, object classes, in a list."""

    def apply(values: Values, option: str, args: Sequence[str]) -> None:
        several(*parts)(values, option, args[: len(parts)])
        list_of(key)(values, option, args[len(parts) :])

    return apply


def blur_areas(values: Values, option: str, args: Sequence[str]) -> None:
    if len(args) < 5 or len(args) % 4 != 1:
        raise bad_option(option, sentence("it is a sigma, and left, top, width and height of each area"))
    values["blur_areas.sigma"] = length(args[0], option)
    numbers = [share(argument, option) for argument in args[1:]]
    values["blur_areas.areas"] = [numbers[place : place + 4] for place in range(0, len(numbers), 4)]


def autoquality(values: Values, option: str, args: Sequence[str]) -> None:
    several(
        ("autoquality.method", one_of("none", "size", "dssim", "ml")),
        ("autoquality.target", length),
        ("autoquality.min", quality),
        ("autoquality.max", quality),
        ("autoquality.allowed_error", length),
    )(values, option, args)


OPTIONS: Sequence[Option] = (
    Option(("resize", "rs"), resize),
    Option(("size", "s"), size),
    Option(("resizing_type", "rt"), single("resizing_type", one_of(*RESIZING_TYPES))),
    Option(("width", "w"), single("width", count)),
    Option(("height", "h"), single("height", count)),
    Option(("min-width", "mw"), single("min-width", count)),
    Option(("min-height", "mh"), single("min-height", count)),
    Option(("zoom", "z"), zoom),
    Option(("dpr",), single("dpr", positive)),
    Option(("enlarge", "el"), single("enlarge", boolean)),
    Option(("extend", "ex"), extend("extend")),
    Option(("extend_aspect_ratio", "extend_ar", "exar"), extend("extend_aspect_ratio")),
    Option(("gravity", "g"), gravity("gravity", _CROP_GRAVITIES)),
    Option(("crop", "c"), crop(_CROP_GRAVITIES)),
    Option(("trim", "t"), trim),
    Option(("padding", "pd"), padding),
    Option(("auto_rotate", "ar"), single("auto_rotate", boolean)),
    Option(("rotate", "rot"), single("rotate", rotation)),
    Option(("flip", "fl"), several(("flip.horizontal", boolean), ("flip.vertical", boolean))),
    Option(("background", "bg"), background),
    Option(("blur", "bl"), single("blur", length)),
    Option(("sharpen", "sh"), single("sharpen", length)),
    Option(("pixelate", "pix"), single("pixelate", count)),
    Option(("watermark", "wm"), watermark),
    Option(("strip_metadata", "sm"), single("strip_metadata", boolean)),
    Option(("keep_copyright", "kcr"), single("keep_copyright", boolean)),
    Option(("strip_color_profile", "scp"), single("strip_color_profile", boolean)),
    Option(("preserve_hdr", "ph"), single("preserve_hdr", boolean)),
    Option(("enforce_thumbnail", "eth"), single("enforce_thumbnail", boolean)),
    Option(("quality", "q"), single("quality", quality)),
    Option(("format_quality", "fq"), format_quality),
    Option(("max_bytes", "mb"), single("max_bytes", count)),
    Option(("format", "f", "ext"), single("format", file_format)),
    Option(("skip_processing", "skp"), skip_processing),
    Option(("raw",), single("raw", boolean)),
    Option(("cachebuster", "cb"), cachebuster),
    Option(("expires", "exp"), single("expires", integer)),
    Option(("filename", "fn"), filename),
    Option(("return_attachment", "att"), single("return_attachment", boolean)),
    Option(("max_src_resolution", "msr"), single("max_src_resolution", pixels), secure=True),
    Option(("max_src_file_size", "msfs"), single("max_src_file_size", count), secure=True),
    Option(("max_animation_frames", "maf"), single("max_animation_frames", positive_integer), secure=True),
    Option(("max_animation_frame_resolution", "mafr"), single("max_animation_frame_resolution", pixels), secure=True),
    Option(("max_result_dimension", "mrd"), single("max_result_dimension", integer), secure=True),
    Option(("adjust", "a"), several(("brightness", number), ("contrast", length), ("saturation", length)), pro=True),
    Option(("brightness", "br"), single("brightness", number), pro=True),
    Option(("contrast", "co"), contrast, pro=True),
    Option(("saturation", "sa"), single("saturation", length), pro=True),
    Option(("monochrome", "mc"), several(("monochrome.intensity", share), ("monochrome.color", color)), pro=True),
    Option(
        ("duotone", "dt"),
        several(("duotone.intensity", share), ("duotone.color1", color), ("duotone.color2", color)),
        pro=True,
    ),
    Option(
        ("unsharp_masking", "unsharpening", "ush"),
        several(
            ("unsharp_masking.mode", one_of("auto", "none", "always")),
            ("unsharp_masking.weight", length),
            ("unsharp_masking.divider", positive),
        ),
        pro=True,
    ),
    Option(
        ("colorize", "col"),
        several(("colorize.opacity", share), ("colorize.color", color), ("colorize.keep_alpha", boolean)),
        pro=True,
    ),
    Option(
        ("gradient", "gr"),
        several(
            ("gradient.opacity", share),
            ("gradient.color", color),
            ("gradient.direction", plain),
            ("gradient.start", share),
            ("gradient.stop", share),
        ),
        pro=True,
    ),
    Option(("background_alpha", "bga"), single("background_alpha", share), pro=True),
    Option(
        ("resizing_algorithm", "ra"),
        single("resizing_algorithm", one_of("nearest", "linear", "cubic", "lanczos2", "lanczos3")),
        pro=True,
    ),
    Option(
        ("crop_aspect_ratio", "crop_ar", "car"),
        several(("crop_aspect_ratio.ratio", length), ("crop_aspect_ratio.enlarge", boolean)),
        pro=True,
    ),
    Option(("crop_objects",), classes_after(("crop_objects.padding", length), key="crop_objects.classes"), pro=True),
    Option(("blur_areas", "ba"), blur_areas, pro=True),
    Option(
        ("blur_detections", "bd"),
        classes_after(("blur_detections.sigma", length), key="blur_detections.classes"),
        pro=True,
    ),
    Option(
        ("draw_detections", "dd"),
        classes_after(("draw_detections.draw", boolean), key="draw_detections.classes"),
        pro=True,
    ),
    Option(
        ("progressive_blur", "pbl"),
        several(
            ("progressive_blur.sigma", length),
            ("progressive_blur.direction", plain),
            ("progressive_blur.start", share),
            ("progressive_blur.stop", share),
        ),
        pro=True,
    ),
    Option(("watermark_url", "wmu"), single("watermark_url", base64), pro=True),
    Option(("watermark_text", "wmt"), single("watermark_text", base64), pro=True),
    Option(
        ("watermark_size", "wms"), several(("watermark_size.width", count), ("watermark_size.height", count)), pro=True
    ),
    Option(("watermark_rotate", "wm_rot", "wmr"), single("watermark_rotate", number), pro=True),
    Option(("watermark_shadow", "wmsh"), single("watermark_shadow", length), pro=True),
    Option(("style", "st"), single("style", base64), pro=True),
    Option(("dpi",), single("dpi", length), pro=True),
    Option(("autoquality", "aq"), autoquality, pro=True),
    Option(
        ("jpeg_options", "jpgo"),
        several(
            ("jpeg.progressive", boolean),
            ("jpeg.no_subsample", boolean),
            ("jpeg.trellis_quant", boolean),
            ("jpeg.overshoot_deringing", boolean),
            ("jpeg.optimize_scans", boolean),
            ("jpeg.quant_table", count),
        ),
        pro=True,
    ),
    Option(
        ("png_options", "pngo"),
        several(("png.interlaced", boolean), ("png.quantize", boolean), ("png.quantization_colors", count)),
        pro=True,
    ),
    Option(
        ("webp_options", "webpo"),
        several(
            ("webp.compression", one_of("lossy", "near_lossless", "lossless")),
            ("webp.smart_subsample", boolean),
            ("webp.preset", one_of("default", "photo", "picture", "drawing", "icon", "text")),
        ),
        pro=True,
    ),
    Option(("avif_options", "avifo"), several(("avif.subsample", one_of("auto", "on", "off"))), pro=True),
    Option(("page", "pg"), single("page", count), pro=True),
    Option(("pages", "pgs"), single("pages", positive_integer), pro=True),
    Option(("disable_animation", "da"), single("disable_animation", boolean), pro=True),
    Option(("color_profile", "cp", "icc"), single("color_profile", plain), pro=True),
    Option(("fallback_image_url", "fiu"), single("fallback_image_url", base64), pro=True),
    Option(("hashsum", "hs"), several(("hashsum.type", plain), ("hashsum.value", plain)), pro=True),
    Option(("bypass_cache", "bc"), single("bypass_cache", boolean), pro=True),
    Option(("cache_tags", "ct"), list_of("cache_tags"), pro=True),
    Option(("video_thumbnail_second", "vts"), single("video_thumbnail_second", length), pro=True),
    Option(("video_thumbnail_keyframes", "vtk"), single("video_thumbnail_keyframes", boolean), pro=True),
    Option(("video_thumbnail_tile", "vtt"), list_of("video_thumbnail_tile"), pro=True),
    Option(("video_thumbnail_animation", "vta"), list_of("video_thumbnail_animation"), pro=True),
)

BY_NAME: Mapping[str, Option] = {name: option for option in OPTIONS for name in option.names}
"""Options by each of their names. Basic options that take more arguments in Pro are in :data:`PRO`."""

PRO: Mapping[str, Apply] = {
    **{name: gravity("gravity", _PRO_GRAVITIES) for name in ("gravity", "g")},
    **{name: crop(_PRO_GRAVITIES) for name in ("crop", "c")},
    **dict.fromkeys(("watermark", "wm"), pro_watermark),
    **{
        name: single("format", lambda text, option: text if text == "best" else file_format(text, option))
        for name in ("format", "f", "ext")
    },
}
"""Basic options that Pro parses differently."""
