"""The filters of imagor's URLs that are steps, and the table of all filters."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus

from service_kit.texts import sentence

from image_processor.algorithms.trim import TrimParams
from image_processor.imaging.css_colors import NAMES
from image_processor.render.dialects.imagor.frame import AverageBehind, InProportion, PartAfterwards
from image_processor.render.dialects.thumbor.filters import (
    AUTO,
    COMMON,
    Make,
    NotForFilterError,
    State,
    color_of,
    contrasted,
    number,
    rounded,
    single_step,
    whole,
    within,
)
from image_processor.render.dialects.thumbor.url import CornerTrim
from image_processor.render.dialects.trimming import PeerTrim
from image_processor.render.plans.deferred import PlannedStep, deferred
from image_processor.render.plans.plan import step
from image_processor.render.problems import unsupported

TRANSPARENT = "#00000000"
_SPACES = {"srgb": "srgb", "b-w": "gray", "grey16": "gray", "cmyk": "cmyk", "p3": "p3"}


def _blurred(args: Sequence[str]) -> Sequence[PlannedStep]:
    sigma = number(args, 1) if len(args) > 1 else number(args, 0) / 2
    return (step("blur", {"radius": within(sigma, 0.01, 100)}),) if sigma > 0 else ()


def _sharpened(args: Sequence[str]) -> Sequence[PlannedStep]:
    sigma = 1 + 2 * number(args, 1 if len(args) > 1 else 0)
    return (step("sharpen", {"radius": within(sigma, 0.01, 50)}),) if sigma > 0 else ()


def _contrasted(args: Sequence[str]) -> Sequence[PlannedStep]:
    amount = within(number(args, 0) * 2.55, -255, 255)
    return contrasted(259 * (amount + 255) / (255 * (259 - amount)))


def _channels(args: Sequence[str]) -> Sequence[PlannedStep]:
    if len(args) != 3:
        raise NotForFilterError
    return COMMON["rgb"](args)


def _cut_out(args: Sequence[str]) -> Sequence[PlannedStep]:
    left, top, width, height = (number(args, place) for place in range(4))
    return (deferred(PartAfterwards(left=left, top=top, width=width, height=height)),)


def _trimmed(args: Sequence[str]) -> Sequence[PlannedStep]:
    trim = CornerTrim(args[1] if len(args) > 1 else "top-left", whole(args, 0, 0))
    return (deferred(PeerTrim(trim=trim_of(trim))),)


def trim_of(trim: CornerTrim) -> TrimParams:
    corner = "southeast" if trim.corner == "bottom-right" else "northwest"
    return TrimParams.model_validate({"threshold": within(trim.tolerance or 1, 0, 255), "corner": corner})


def _background(args: Sequence[str]) -> Sequence[PlannedStep]:
    if not args:
        raise NotForFilterError
    if args[0].lower() == AUTO:
        return (deferred(AverageBehind()),)
    return (step("flatten", {"background": painted(args[0])}),)


def filling(text: str) -> str:
    """Return the fill color, or the word for the average color, a blurred image or transparency."""
    if text.lower() in ("blur", AUTO):
        return text.lower()
    return TRANSPARENT if text in ("none", "transparent") else painted(text)


def painted(text: str) -> str:
    """Return a color as imagor reads it: an unknown name is black, an invalid digit is 0, and alpha does not count."""
    name = unquote_plus(text).lower().removeprefix("#")
    if len(name) in (3, 6, 8) and name not in NAMES:
        name = "".join(digit if digit in "0123456789abcdef" else "0" for digit in name[:6])
    try:
        return color_of(name) if name not in ("none", "transparent") else "#000000"
    except NotForFilterError:
        return "#000000"


def _modulated(args: Sequence[str]) -> Sequence[PlannedStep]:
    if len(args) != 3:
        raise NotForFilterError
    brightness, saturation = (within(number(args, place, 0.0), -100, 100) for place in (0, 1))
    return (
        step("brightness", {"amount": brightness}),
        step("saturation", {"amount": saturation}),
        step("hue", {"degrees": number(args, 2, 0.0) % 360}),
    )


def _redacted(args: Sequence[str]) -> Sequence[PlannedStep]:
    method = (args[0] if args else "").lower() or "blur"
    if method not in ("blur", "pixelate"):
        raise unsupported("redact", sentence("faces are blurred or pixelated, not painted over"))
    return (step("blur_faces", {"method": method}),)


def _rounded(args: Sequence[str]) -> Sequence[PlannedStep]:
    radius = number(args, 0)
    return rounded(radius, number(args, 1, radius), painted(args[2]) if len(args) == 3 else None)


def _in_space(args: Sequence[str]) -> Sequence[PlannedStep]:
    name = (args[0] if args else "srgb").lower()
    if name not in _SPACES:
        raise unsupported(
            "to_colorspace",
            sentence("there is no space '{name}'; there are: {names}", name=name, names=", ".join(_SPACES)),
        )
    return (step("to_colorspace", {"space": _SPACES[name]}),)


def _in_proportion(args: Sequence[str]) -> Sequence[PlannedStep]:
    share = number(args, 0)
    share = share / 100 if share > 1 else share
    return (deferred(InProportion(share=share)),) if 0 < share < 1 else ()


STEPS: Mapping[str, Make] = {
    **COMMON,
    "background_color": _background,
    "blur": _blurred,
    "contrast": _contrasted,
    "crop": _cut_out,
    "hue": single_step("hue", lambda args: {"degrees": number(args, 0) % 360}),
    "invert": single_step("invert", lambda _: {}),
    "modulate": _modulated,
    "pixelate": single_step("pixelate", lambda args: {"size": int(within(whole(args, 0, 10), 2, 1000))}),
    "proportion": _in_proportion,
    "redact": _redacted,
    "rgb": _channels,
    "round_corner": _rounded,
    "saturation": single_step("saturation", lambda args: {"amount": within(number(args, 0), -100, 100)}),
    "sharpen": _sharpened,
    "to_colorspace": _in_space,
    "trim": _trimmed,
}
"""The steps of each filter that needs only its arguments."""

FILTERS: Mapping[str, State] = {
    "attachment": State("yes", "the header `Content-Disposition`"),
    "autojpg": State("yes", "the format is JPEG"),
    "avgcolor": State("yes", "in `meta`: the average color"),
    "background_color": State("yes", "`flatten`; `auto` is the average color"),
    "bitdepth": State("part", "1, 2 and 4: `output.palette`; 16 has no effect"),
    "blur": State("yes", "`blur`; not for animations"),
    "blurhash": State("yes", "in `meta`: `blurhash`"),
    "brightness": State("yes", "`brightness`"),
    "compression": State("part", "`output.effort`, 1 to 9"),
    "contrast": State("yes", "`contrast` or `levels`, with imagor's formula"),
    "crop": State("yes", "`crop`, after the resize"),
    "dpi": State("yes", "`source.dpi`, for PDF and SVG"),
    "draw_detections": State("no", sentence("rectangles around faces are not drawn")),
    "expire": State("yes", "the response is 410 after this time"),
    "fill": State("yes", "`pad` or `extend`; `auto` is the average color"),
    "focal": State("yes", "points and areas that the crop keeps in the middle"),
    "format": State("part", "jpeg, png, webp, avif, gif and tiff; JPEG for bmp and pdf; jxl, jp2 and heif are refused"),
    "grayscale": State("yes", "`grayscale`"),
    "hue": State("yes", "`hue`"),
    "image": State("yes", "`stamp`; the other image may have its own size and filters, nested up to three deep"),
    "invert": State("yes", "`invert`"),
    "label": State("part", "always in Roboto"),
    "lossless": State("yes", "`output.lossless`"),
    "max_age": State("yes", "the header `Cache-Control`"),
    "max_bytes": State("yes", "`output.max_bytes`"),
    "max_frames": State("yes", "`source.frames`"),
    "modulate": State("yes", "`brightness`, `saturation` and `hue`"),
    "no_upscale": State("yes", "`resize` without `enlarge`"),
    "orient": State("yes", "`rotate` before the crop"),
    "padding": State("yes", "`pad`"),
    "page": State("yes", "`source.page`"),
    "palette": State("yes", "`output.palette`"),
    "pixelate": State("yes", "`pixelate`; not for animations"),
    "preview": State("yes", "accepted; results are always kept in the cache"),
    "proportion": State("yes", "`resize`"),
    "quality": State("yes", "`output.quality`"),
    "raw": State("yes", "the unchanged source"),
    "redact": State("part", "`blur_faces`: only faces, blurred or pixelated; the strength has no effect"),
    "redact_oval": State("no", sentence("faces are hidden by rectangles: `redact` does it")),
    "rgb": State("yes", "`channels`"),
    "rotate": State("yes", "`rotate`, counterclockwise as in imagor"),
    "round_corner": State("yes", "`round_corners` and `flatten`"),
    "saturation": State("yes", "`saturation`"),
    "sharpen": State("part", "`sharpen`: a different operator with the same radius; not for animations"),
    "stretch": State("yes", "`resize` with `fill`"),
    "strip_exif": State("part", "`output.metadata`: XMP and IPTC are stripped too"),
    "strip_icc": State("yes", "`output.profile`"),
    "strip_metadata": State("yes", "`output.metadata` and `output.profile`"),
    "text": State("part", "always in Roboto, regular or bold; without wrapping or blending"),
    "thumbhash": State("no", sentence("ThumbHash is not computed; `blurhash` is")),
    "to_colorspace": State("part", "`to_colorspace`: srgb, p3, cmyk and b-w"),
    "trim": State("yes", "`trim`, in the order of the filters; not for animations"),
    "upscale": State("yes", "`resize` with `enlarge`"),
    "watermark": State("yes", "`stamp`"),
}
"""Every filter of imagor, and whether Pixmill supports it. Unknown filters are skipped, as in imagor."""
