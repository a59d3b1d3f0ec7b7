"""Runs a plan for a preview: its result, shrunk to fit into a square."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from image_processor.algorithms.registry import Algorithm, Params
from image_processor.algorithms.resize import ResizeParams, resize
from image_processor.imaging.picture import Picture
from image_processor.services.codec.limits import ImageLimits
from image_processor.services.codec.plan import Plan
from image_processor.services.codec.process import process_image


@dataclass(frozen=True)
class Preview:
    """A preview on disk.

    :param extension: as :func:`process_image` returns it.
    :param full_size: width and height of the plan's result before it is shrunk; ``None`` for an analysis.
    """

    extension: str | None
    full_size: tuple[int, int] | None


def write_preview(
    source: Path, files: Mapping[int, Path], result: Path, plan: Plan, max_side: int, limits: ImageLimits
) -> Preview:
    """Write what ``plan`` makes of ``source``, with sides of at most ``max_side`` pixels.

    :raises ImageError: as :func:`process_image`.
    """
    sizes = list[tuple[int, int]]()

    def shrunk(picture: Picture, params: ResizeParams) -> Picture:
        sizes.append((picture.width, picture.height))
        made = resize.run(picture, params)
        if not isinstance(made, Picture):
            raise TypeError(f"{resize.name} made no picture")
        return made

    place = _first_scale_free(plan.steps)
    inside = ResizeParams.model_validate({"width": max_side, "height": max_side, "fit": "inside"})
    # Convert the colors first if a later step does so: a conversion from CMYK or a wide gamut may clip values.
    keeps_colors = all(algorithm.any_color_space for algorithm, _ in plan.steps[place:])
    shrink = replace(resize, run=shrunk, any_color_space=keeps_colors), inside
    # After an analysis, whose report is the result, nothing runs.
    steps = [*plan.steps[:place], shrink, *plan.steps[place:]]
    extension = process_image(source, files, result, replace(plan, steps=steps), limits)
    return Preview(extension, sizes[0] if sizes else None)


def _first_scale_free(steps: Sequence[tuple[Algorithm, Params]]) -> int:
    """Return the place from which all steps are scale-free, so that they may run on few pixels."""
    others = [place for place, (algorithm, _) in enumerate(steps) if not algorithm.scale_free]
    return others[-1] + 1 if others else 0
