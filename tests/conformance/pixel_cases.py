"""imgproxy's pixel tests as URLs: a case's name gives the picture and the operation."""

import re
from dataclasses import dataclass

_TURN = re.compile(r"img-(?P<image>\d)_rotate-(?P<rotate>\d+)_flip-(?P<across>\w+)_(?P<down>\w+)_ar-(?P<upright>\w+)")
_PLACE = re.compile(
    r"(?:crop_gravity_(?P<crop>[a-z]+)_crop_(?P<crop_size>\d+x\d+)"
    r"|resizeFill_(?P<fill_size>\d+x\d+)(?:_gravity_(?P<fill>[a-z]+))?"
    r"|extend(?P<ratio>Ar)?_(?P<extend_size>\d+x\d+)(?:_gravity_(?P<extend>[a-z]+))?)"
    r"(?:_offset_(?P<x>[-\d.]+)_(?P<y>[-\d.]+))?(?:_dpr_(?P<dpr>[\d.]+))?"
)
_PADDING = re.compile(r"dpr_(?P<dpr>[\d.]+)_pad_(?P<sides>\d+_\d+_\d+_\d+)")
_LIMIT = re.compile(r"(?P<kind>[a-z-]+):(?P<size>\d+x\d+):limit:(?P<limit>\d+)(?P<more>(?:_[a-zA-Z]+:\w+?)*)")
_MORE = re.compile(r"_(en|ex|exAR|rotate|padding):([^_]+)")
_RESIZE = re.compile(r"TestResizeTo(?P<kind>FillDown|Fill|Fit|Force)(?P<enlarge>Enlarge)?(?P<extend>ExtendAR|Extend)?")
_TRIM = re.compile(
    r"trim_threshold_(?P<threshold>\d+)(?:_color_#(?P<color>\w+))?(?P<across>_equalHor)?(?P<down>_equalVer)?"
)
_TRIMMED = {"TestThreshold": "trim1.png", "TestColor": "trim2.png", "TestAlpha": "trim3.png"}
_GEOMETRY = "geometry.png"


@dataclass(frozen=True)
class PixelCase:
    """A picture, and the URL options that produce the result."""

    picture: str
    options: str


def pixel_case(name: str) -> PixelCase:
    """Return the case with this name.

    :raises ValueError: the name belongs to an unknown test.
    """
    _, suite, test, *_ = name.split("/")
    if found := _TURN.fullmatch(test):
        turn = f"rot:{found['rotate']}/fl:{found['across']}:{found['down']}/ar:{found['upright']}"
        return PixelCase(f"orientation-{found['image']}.png", turn)
    if suite in _TRIMMED and (found := _TRIM.fullmatch(test)):
        across, down = int(bool(found["across"])), int(bool(found["down"]))
        return PixelCase(_TRIMMED[suite], f"t:{found['threshold']}:{found['color'] or ''}:{across}:{down}")
    if suite == "TestResultSizeLimit" and (found := _LIMIT.fullmatch(test)):
        more = "".join(_option(key, value) for key, value in _MORE.findall(found["more"]))
        return PixelCase(_GEOMETRY, f"mrd:{found['limit']}/rs:{found['kind']}:{_colons(found['size'])}{more}")
    if found := _RESIZE.fullmatch(suite):
        kind = "fill-down" if found["kind"] == "FillDown" else found["kind"].lower()
        extend = {"Extend": "/ex:1", "ExtendAR": "/exar:1"}.get(found["extend"] or "", "")
        return PixelCase(_GEOMETRY, f"rs:{kind}:{_colons(test)}{'/el:1' if found['enlarge'] else ''}{extend}")
    if found := _PADDING.fullmatch(test):
        return PixelCase(_GEOMETRY, f"dpr:{found['dpr']}/pd:{found['sides'].replace('_', ':')}/bg:f00/el:1")
    if found := _PLACE.fullmatch(test):
        return PixelCase(_GEOMETRY, _place(found))
    raise ValueError(f"The test of '{name}' is not known.")


def _place(found: re.Match[str]) -> str:
    offset = f":{found['x']}:{found['y']}" if found["x"] else ""
    dpr = f"/dpr:{found['dpr']}" if found["dpr"] else ""
    if found["crop_size"]:
        return f"c:{_colons(found['crop_size'])}:{found['crop']}{offset}{dpr}"
    if found["fill_size"]:
        return f"rs:fill:{_colons(found['fill_size'])}/g:{found['fill'] or 'ce'}{offset}{dpr}"
    extend = "exar" if found["ratio"] else "ex"
    return f"s:{_colons(found['extend_size'])}/{extend}:1:{found['extend'] or 'ce'}{offset}{dpr}"


def _option(key: str, value: str) -> str:
    options = {"en": "/el:1", "ex": "/ex:1", "exAR": "/exar:1", "rotate": f"/rot:{value}"}
    return options.get(key, f"/pd:{_colons(value)}")


def _colons(size: str) -> str:
    return size.replace("x", ":")
