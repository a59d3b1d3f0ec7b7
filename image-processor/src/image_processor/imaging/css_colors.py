"""Parses CSS colors (CSS Color 4): hexadecimal, by name, and as rgb() and hsl(), with alpha or without."""

import colorsys
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PIL import ImageColor
from service_kit.errors import RuleError
from service_kit.texts import sentence

NAMES: Mapping[str, str] = {
    **{name: str(color) for name, color in ImageColor.colormap.items()},
    "transparent": "#00000000",
}
"""The named colors (CSS Color 4, 6.1)."""

_ALPHA = r"(0|1|0?\.\d{1,3}|\d{1,2}%|100%)"
_RGB = rf"rgba?\((\d{{1,3}}%?(, ?\d{{1,3}}%?){{2}}(, ?{_ALPHA})?|\d{{1,3}}%?( \d{{1,3}}%?){{2}}( ?/ ?{_ALPHA})?)\)"
_HSL = r"hsla?\((DEG(, ?\d{1,3}%){2}(, ?ALPHA)?|DEG( \d{1,3}%){2}( ?/ ?ALPHA)?)\)".replace("ALPHA", _ALPHA).replace(
    "DEG", r"\d{1,3}(deg)?"
)
_HEX = r"#([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})"
PATTERN = rf"^({_HEX}|{_RGB}|{_HSL}|{'|'.join(sorted(NAMES))})$"
"""The pattern of a color in a JSON Schema. The other CSS forms are accepted too."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_FUNCTION = re.compile(r"(rgb|hsl)a?\(\s*(.*?)\s*\)")
_VALUE = re.compile(rf"({_NUMBER})(%|deg|turn|rad|grad)?|none")
_DEGREES = {"": 1.0, "deg": 1.0, "turn": 360.0, "rad": 57.295779513, "grad": 0.9}

_Values = Sequence[tuple[float, str]]


def canonical(color: str) -> str:
    """Return the color as ``#rrggbb``, or ``#rrggbbaa`` where it is not opaque.

    :raises ValueError: the text is not a CSS color.
    """
    text = color.strip().lower()
    if re.fullmatch(_HEX, text):
        return _short(_digits(text))
    if text in NAMES:
        return NAMES[text]
    function = _FUNCTION.fullmatch(text)
    values = _arguments(function[2]) if function else None
    made = _KINDS[function[1]](values) if function and values is not None else None
    if made is None:
        raise _refusal(color)
    return _short("#" + "".join(f"{round(value * 255):02x}" for value in made))


def _refusal(color: str) -> RuleError:
    hint = sentence(" (did you mean '#{color}'?)", color=color) if re.fullmatch(_HEX, f"#{color}") else ""
    detail = sentence(
        "'{color}' is not a color{hint}. Colors are written as in CSS: a name such as 'white', 'rebeccapurple' or "
        "'transparent', '#rgb', '#rgba', '#rrggbb', '#rrggbbaa', 'rgb(255, 0, 0)', 'rgba(255, 0, 0, 0.5)', "
        "'rgb(255 0 0 / 50%)' or 'hsl(120, 100%, 50%)'",
        color=color[:40],
        hint=hint,
    )
    return RuleError("no_color", detail)


def _digits(text: str) -> str:
    return text if len(text) > 5 else "#" + "".join(digit * 2 for digit in text[1:])


def _short(color: str) -> str:
    return color[:7] if color[7:] == "ff" else color


def _arguments(text: str) -> _Values | None:
    """Return three numbers with their units, or four with alpha; ``None`` if CSS would not accept them."""
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
    else:
        colors, slash, alpha = text.partition("/")
        parts = colors.split() + ([alpha.strip()] if slash else [])
        if len(parts) == 4 and not slash:
            return None
    matches = [_VALUE.fullmatch(part) for part in parts]
    if len(matches) not in (3, 4):
        return None
    values = [(float(match[1] or 0), match[2] or "") for match in matches if match]
    fits = len(values) == len(matches) and all(unit in ("", "%") for _, unit in values[3:])
    return values if fits else None


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value))


def _share(value: float, unit: str, whole: float) -> float:
    return _clamped(value / (100 if unit == "%" else whole))


def _alpha(values: _Values) -> float:
    return _share(*values[3], whole=1) if len(values) == 4 else 1.0


def _rgb(values: _Values) -> Sequence[float] | None:
    if any(unit not in ("", "%") for _, unit in values):
        return None
    return [*(_share(*value, whole=255) for value in values[:3]), _alpha(values)]


def _hsl(values: _Values) -> Sequence[float] | None:
    (hue, turn), saturation, lightness = values[:3]
    if turn not in _DEGREES or any(unit not in ("", "%") for _, unit in (saturation, lightness)):
        return None
    share = partial(_share, whole=100)
    colors = colorsys.hls_to_rgb(hue * _DEGREES[turn] / 360 % 1, share(*lightness), share(*saturation))
    return [*(_clamped(color) for color in colors), _alpha(values)]


_KINDS: Mapping[str, Callable[[_Values], Sequence[float] | None]] = {"rgb": _rgb, "hsl": _hsl}
