"""The grammar of imagor's URLs: thumbor's, extended by padding, crops in shares of the size, and nested filters."""

import re
from base64 import urlsafe_b64decode
from urllib.parse import unquote_plus

from image_processor.render.dialects.imagor.frame import InParent
from image_processor.render.dialects.thumbor.url import CornerTrim, Filter, ThumborUrl, digits, side_of

_LEAST_SIGNATURE = 17
"""The least length of a signature in characters; a shorter first segment belongs to the path."""

_PATH = re.compile(
    rf"/*(?:params/)?(?:(?P<signature>unsafe|[A-Za-z0-9\-_=]{{{_LEAST_SIGNATURE},}})/)?(?P<rest>.+)?", re.DOTALL
)
_START = r"(?:0?\.)?\d+"
_END = r"(?:[01]?\.)?\d+"
_PARTS = re.compile(
    r"/*"
    r"(?:(?P<meta>meta)/)?"
    r"(?P<trim>trim(?::(?P<corner>top-left|bottom-right))?(?::(?P<tolerance>\d+))?/)?"
    rf"(?:(?P<left>{_START})x(?P<top>{_START}):(?P<right>{_END})x(?P<bottom>{_END})/)?"
    r"(?:(?P<fit_in>(?:adaptive-)?(?:full-)?fit-in)/)?"
    r"(?:(?P<stretch>stretch)/)?"
    r"(?:(?P<flip_horizontal>-)?(?P<width>\d*)x(?P<flip_vertical>-)?(?P<height>\d*)/)?"
    r"(?:(?P<pad_left>\d+)x(?P<pad_top>\d+)(?::(?P<pad_right>\d+)x(?P<pad_bottom>\d+))?/)?"
    r"(?:(?P<halign>left|right|center)/)?"
    r"(?:(?P<valign>top|bottom|middle)/)?"
    r"(?:(?P<smart>smart)/)?"
    r"(?P<rest>.+)?",
    re.DOTALL,
)
_BREAKS = str.maketrans("", "", "\r\n\t\v\f\u0085\u2028\u2029")


def parse(target: bytes) -> ThumborUrl:
    """Parse a path as sent, without decoding it. Every path is valid: the part that is not an option is the image."""
    path = target.partition(b"?")[0].decode("utf-8", "surrogateescape").translate(_BREAKS)
    outer = _PATH.match(path)
    signature, rest = (outer["signature"] or "", outer["rest"] or "") if outer else ("", path)
    found = _PARTS.match(rest)
    if found is None:  # the expression matches the empty text
        raise AssertionError(rest)
    filters, image = _filters_and_image(found["rest"] or "")
    return ThumborUrl(
        signature=signature,
        signed=rest.encode("utf-8", "surrogateescape"),
        meta=bool(found["meta"]),
        trim=CornerTrim(found["corner"] or "top-left", digits(found["tolerance"] or "0")) if found["trim"] else None,
        crop=_crop(found),
        fit_in=found["fit_in"] or "",
        stretch=bool(found["stretch"]),
        width=side_of(found["width"]),
        height=side_of(found["height"]),
        flip_horizontal=bool(found["flip_horizontal"]),
        flip_vertical=bool(found["flip_vertical"]),
        padding=_padding(found),
        halign=found["halign"] or "",
        valign=found["valign"] or "",
        smart=bool(found["smart"]),
        filters=filters,
        image=_decoded(image),
    )


def _crop(found: re.Match[str]) -> tuple[float, float, float, float] | None:
    if found["left"] is None:
        return None
    left, top, right, bottom = (float(found[name]) for name in ("left", "top", "right", "bottom"))
    return left, top, right, bottom


def _padding(found: re.Match[str]) -> tuple[int, int, int, int] | None:
    if found["pad_left"] is None:
        return None
    left, top = digits(found["pad_left"]), digits(found["pad_top"])
    if found["pad_right"] is None:
        return left, top, left, top
    return left, top, digits(found["pad_right"]), digits(found["pad_bottom"])


def _filters_and_image(text: str) -> tuple[tuple[Filter, ...], str]:
    """Return the filters, whose arguments may contain balanced parentheses, and the image after them."""
    if not text.startswith("filters:"):
        return (), text
    filters, depth, name, args, word = list[Filter](), 0, "", "", ""
    image = ""
    for place, letter in enumerate(text.removeprefix("filters:"), len("filters:")):
        if letter == "(" and depth == 0:
            name, word = word, ""
        elif letter == ")" and depth == 1:
            args, word = word, ""
        elif letter == "/" and depth == 0:
            image = text[place + 1 :]
            break
        elif letter == ":" and depth == 0:
            filters.append(Filter(name, args))
            name = args = word = ""
        else:
            word += letter
        depth += {"(": 1, ")": -1}.get(letter, 0)
    if name:
        filters.append(Filter(name, args))
    return tuple(filters), image


def _decoded(image: str) -> str:
    """Decode base64url after ``b64:``, and then the result as Go's QueryUnescape does, in imagor's order."""
    text = from_base64(image)
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return text  # not encoded at all
    return unquote_plus(text)


def from_base64(text: str) -> str:
    """Decode base64url after ``b64:``; return other texts unchanged."""
    if not text.startswith("b64:"):
        return text
    encoded = text.removeprefix("b64:").rstrip("=")
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:  # also of characters that are not ASCII
        return text


_SIDE = r"-?(?:(?:full|f)(?:-\d+)?|\d*)"
_FOLLOWING = re.compile(r"(-?)(?:full|f)(?:-(\d+))?")


def sides_of(path: str) -> tuple[str, InParent | None, InParent | None]:
    """Return the path with ``full`` and ``f`` replaced by 0, and the width and the height for which they stand."""
    segments = path.split("/")
    for place, segment in enumerate(segments):
        if segment.startswith("filters:"):
            break
        if (found := re.fullmatch(rf"({_SIDE})x({_SIDE})", segment)) is None:
            continue
        sides = [_FOLLOWING.fullmatch(text) for text in found.groups()]
        if not any(sides):
            break
        texts = [f"{side[1]}0" if side else text for side, text in zip(sides, found.groups(), strict=True)]
        segments[place] = "x".join(texts)
        width, height = (InParent(less=digits(side[2] or "0")) if side else None for side in sides)
        return "/".join(segments), width, height
    return path, None, None
