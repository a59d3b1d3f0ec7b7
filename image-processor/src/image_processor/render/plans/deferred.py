"""Deferred steps, whose numbers depend on the picture that they are applied to.

A dialect asks for *fill 300 × 200, from the right*; which pixels to keep depends on the source. Once the picture is
known, a deferred step becomes steps of the catalog with absolute numbers.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import ValidationError

from image_processor.algorithms.registry import Algorithm, Params, UnsuitableImageError, find_algorithm
from image_processor.imaging.files import Files
from image_processor.imaging.picture import Picture
from image_processor.render.problems import TOO_LARGE


@dataclass(frozen=True)
class Size:
    """The size in pixels of the picture that a step is applied to."""

    width: int
    height: int


@dataclass(frozen=True)
class PlannedStep:
    """A step: the name of an algorithm or of a deferred step, and its valid params."""

    name: str
    params: Params

    def resolved(self) -> tuple[Algorithm, Params]:
        """Return the algorithm that runs the step, and its params."""
        if isinstance(self.params, Deferred):
            return _algorithm_of(type(self.params)), self.params
        return resolved(self.name), self.params


class Deferred(Params, ABC):
    """The base class of the params of deferred steps."""

    @abstractmethod
    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        """Return the steps for a picture of that size."""

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        """Return the steps for that picture; override this where they also depend on its pixels, as in a trim."""
        return self.lowered(Size(picture.width, picture.height))

    def sets_size(self) -> bool:
        """Return whether the URL requests a size with this step."""
        return False

    @classmethod
    def title(cls) -> str:
        """Return the name of the step in a plan."""
        return cls.__name__


def deferred(params: Deferred) -> PlannedStep:
    """Return the step with these params."""
    return PlannedStep(params.title(), params)


@cache
def resolved(name: str) -> Algorithm:
    """Return the algorithm of the catalog, or one that only dialects use."""
    found = _OWN.get(name) or find_algorithm(name)
    if found is None:
        raise LookupError(name)
    return found


_OWN: dict[str, Algorithm] = {}


def own(algorithm: Algorithm) -> Algorithm:
    """Register an algorithm that imitates a peer and that only dialects use; the catalog has a better one."""
    _OWN[algorithm.name] = algorithm
    return algorithm


def _run(picture: Picture, params: Deferred, files: Files) -> Picture:
    try:
        steps = params.lowered_for(picture)
    except ValidationError as error:
        raise UnsuitableImageError(TOO_LARGE) from error
    for step in steps:
        algorithm, own_params = step.resolved()
        made = algorithm.apply(picture, own_params, files)
        if not isinstance(made, Picture):
            raise TypeError(f"{step.name} made no picture")
        picture = made
    return picture


@cache
def _algorithm_of(params: type[Deferred]) -> Algorithm:
    return Algorithm(
        name=params.title(),
        summary=(params.__doc__ or "").strip(),
        params=params,
        run=_run,
        takes=Picture,
        gives=Picture,
        needs_files=True,
        sequential=False,
        any_color_space=False,
        first_frame_only=False,
    )
