"""Applies the client hints ``Save-Data`` and ``Sec-CH-Width`` if a setting allows them."""

from collections.abc import Mapping
from dataclasses import replace

from image_processor.algorithms.resize import ResizeParams
from image_processor.algorithms.thumbnail import ThumbnailParams
from image_processor.imaging.output import DEFAULT_QUALITY
from image_processor.imaging.params import MAX_SIDE
from image_processor.render.plans.deferred import Deferred
from image_processor.render.plans.plan import RenderPlan, step

SAVED_QUALITY = 20
"""`Save-Data: on` lowers the quality by this much."""
LEAST_QUALITY = 30
"""A quality above this one is not lowered beyond it; a lower one is kept."""
VARY_BY_HINTS = ["Save-Data", "Sec-CH-Width"]

_SIZED = (ResizeParams, ThumbnailParams)


def hinted(plan: RenderPlan, headers: Mapping[str, str]) -> RenderPlan:
    """Return the plan, adjusted to the client's hints.

    :param headers: a mapping that ignores the case of names.
    """
    if plan.answer == "original":
        return plan
    changed = plan
    if headers.get("Save-Data", "").strip().lower() == "on":
        changed = _saving(changed)
    width = headers.get("Sec-CH-Width", "").strip()
    if width.isascii() and width.isdecimal() and 1 <= int(width[:6]) <= MAX_SIDE and not _is_sized(plan):
        changed = replace(changed, steps=(*changed.steps, step("resize", {"width": int(width[:6]), "fit": "inside"})))
    return changed


def _saving(plan: RenderPlan) -> RenderPlan:
    encoding, output = plan.encoding, plan.encoding.output
    if output.quality is not None:
        output = output.model_copy(update={"quality": _lower(output.quality)})
    usual = dict(encoding.qualities) or DEFAULT_QUALITY
    lower = {name: _lower(quality) for name, quality in usual.items()}
    return replace(plan, encoding=replace(encoding, output=output, qualities=tuple(lower.items())))


def _lower(quality: int) -> int:
    return min(quality, max(LEAST_QUALITY, quality - SAVED_QUALITY))


def _is_sized(plan: RenderPlan) -> bool:
    """Return whether the URL itself requests a size, which takes precedence over a hint."""
    return any(
        planned.params.sets_size() if isinstance(planned.params, Deferred) else isinstance(planned.params, _SIZED)
        for planned in plan.steps
    )
