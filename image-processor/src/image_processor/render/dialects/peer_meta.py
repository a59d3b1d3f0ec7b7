"""Writes the JSON that ``meta/`` URLs of thumbor and imagor return, without encoding an image."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from image_processor.algorithms.blurhash import BlurhashReport
from image_processor.algorithms.crop import CropParams
from image_processor.algorithms.flip import FlipParams
from image_processor.algorithms.registry import Params
from image_processor.algorithms.resize import ResizeParams
from image_processor.algorithms.trim import box_of
from image_processor.imaging.canvas import flattened
from image_processor.imaging.color import in_color, in_eight_bits, in_srgb
from image_processor.imaging.picture import Picture
from image_processor.render.dialects.rounding import half_up
from image_processor.render.dialects.thumbor.plan import ThumborFrame
from image_processor.render.plans.deferred import Size
from image_processor.render.plans.plan import NamedFilter, RenderPlan, step
from image_processor.services.codec.decoding import Decoded, ImageLimits, NamedFiles, decode
from image_processor.services.codec.encoding import source_format

_SHARES = {"left": 0.0, "center": 0.5, "right": 1.0, "top": 0.0, "middle": 0.5, "bottom": 1.0}

_ANIMATED = ("gif", "webp")
_TAG = re.compile(r"exif-ifd\d-(.+)")

Operation = dict[str, str | int]


def write_meta(source: Path, files: Mapping[int, Path], result: Path, plan: RenderPlan, limits: ImageLimits) -> None:
    """Write the peer's JSON about an image.

    :raises UnsuitableImageError: a step does not suit the image.
    :raises ImageError: the source is not a readable image, or exceeds a limit.
    """
    decoded = decode(source, limits, sequential=False, wanted=plan.reading)
    if plan.answer == "thumbor meta":
        report = _thumbor(plan, decoded.picture)
    else:
        report = _imagor(plan, decoded, NamedFiles(files, limits))
    result.write_text(json.dumps(report, ensure_ascii=False), "utf-8")


def _thumbor(plan: RenderPlan, picture: Picture) -> dict[str, object]:
    """Return the operations before the filters; thumbor does not report its filters either."""
    size, operations = Size(picture.width, picture.height), list[Operation]()
    focal = list[dict[str, object]]()
    for planned in plan.steps:
        if isinstance(planned.params, ThumborFrame):
            frame = planned.params
            box = None if frame.trim is None else box_of(picture, frame.trim)
            if box is not None:
                left, top, right, bottom = box
                operations.append({"type": "crop", "left": left, "top": top, "right": right, "bottom": bottom})
                frame = frame.after_trim(box, size)
                size = Size(right - left, bottom - top)
            focal = _focal_points(frame, size)
            # Without a detector, thumbor treats `smart` as the center.
            steps = frame.model_copy(update={"smart": False}).lowered(size)
            for made in steps:
                operation = _operation(made.params)
                if operation["type"] != "resize" or _target(size, [*operations, operation]) != _target(
                    size, operations
                ):
                    operations.append(operation)
    target = _target(size, operations)
    return {
        "thumbor": {
            "source": {
                "url": plan.source_name,
                "width": picture.width,
                "height": picture.height,
                "frameCount": len(picture.frames),
            },
            "operations": operations,
            "target": {"width": target.width, "height": target.height},
            "focal_points": focal,
        }
    }


def _operation(params: Params) -> Operation:
    match params:
        case CropParams(left=left, top=top, width=width, height=height):
            box = [int(side or 0) for side in (left, top, width, height)]
            return {"type": "crop", "left": box[0], "top": box[1], "right": box[0] + box[2], "bottom": box[1] + box[3]}
        case ResizeParams(width=width, height=height):
            return {"type": "resize", "width": int(width or 0), "height": int(height or 0)}
        case FlipParams(direction=direction):
            return {"type": f"flip_{direction}ly"}
    raise TypeError(type(params).__name__)


def _target(size: Size, operations: Sequence[Operation]) -> Size:
    for operation in operations:
        if operation["type"] == "crop":
            size = Size(
                int(operation["right"]) - int(operation["left"]), int(operation["bottom"]) - int(operation["top"])
            )
        elif operation["type"] == "resize":
            size = Size(int(operation["width"]), int(operation["height"]))
    return size


def _focal_points(frame: ThumborFrame, size: Size) -> list[dict[str, object]]:
    box = frame.cut(size)
    if box is not None:
        size = Size(box[2] - box[0], box[3] - box[1])
    areas: list[dict[str, object]] = [
        {
            "x": left + (right - left) // 2,
            "y": top + (bottom - top) // 2,
            "z": (right - left) * (bottom - top),
            "height": bottom - top,
            "width": right - left,
            "origin": "Explicit",
        }
        for left, top, right, bottom in frame.areas(box)
    ]
    x, y = size.width * _SHARES[frame.halign or "center"], size.height * _SHARES[frame.valign or "middle"]
    return areas or [{"x": int(x), "y": int(y), "z": 1.0, "height": 1, "width": 1, "origin": "alignment"}]


def _imagor(plan: RenderPlan, decoded: Decoded, files: NamedFiles) -> dict[str, object]:
    """Return imagor's facts about the result, with the EXIF tags of the source unless they are stripped."""
    picture = decoded.picture
    for planned in plan.steps:
        algorithm, params = planned.resolved()
        made = algorithm.apply(picture, params, files)
        if not isinstance(made, Picture):
            raise TypeError(f"{planned.name} made no picture")
        picture = made
    output = plan.encoding.output.format
    name = source_format(decoded, picture) if output == "source" else output
    stripped = plan.encoding.output.metadata == "strip"
    # The result is upright and has no orientation tag: 0.
    report: dict[str, object] = {
        "format": name,
        "content_type": f"image/{name}",
        "width": picture.width,
        "height": picture.height,
        "orientation": 0,
        "pages": len(picture.frames) if name in _ANIMATED else 1,
        "bands": picture.first.bands,
        "exif": {} if stripped else _exif(decoded.picture),
    }
    for asked in plan.filters:
        report |= _computed(asked, picture, files)
    report["filters"] = [{"name": filter_.name, "processed": filter_.done} for filter_ in plan.filters]
    return report


def _exif(picture: Picture) -> dict[str, str]:
    """Return the tags as libvips writes them, without its explanation in parentheses after the value."""
    found = dict[str, str]()
    for field in picture.first.get_fields():
        if (tag := _TAG.fullmatch(field)) and (value := str(picture.first.get(field)).partition(" (")[0].strip()):
            found[tag[1]] = value
    return found


def _computed(asked: NamedFilter, picture: Picture, files: NamedFiles) -> dict[str, object]:
    if asked.name == "avgcolor":
        colors = in_eight_bits(in_color(in_srgb(flattened(picture.first, "#ffffff"))))
        return {"average_color": {name: half_up(colors[band].avg()) for band, name in enumerate("rgb")}}
    if asked.name == "blurhash":
        across, down = (int(float(argument)) for argument in asked.args.split(","))
        algorithm, params = step("blurhash", {"x": across, "y": down}).resolved()
        made = algorithm.apply(picture, params, files)
        return {"blurhash": made.blurhash} if isinstance(made, BlurhashReport) else {}
    return {}
