"""Finds the algorithms: the modules of this package, each named as its algorithm, and the entry points
``pixmill.algorithms``.

The types of an algorithm's function determine its kind:

======================================  =================================================================
``(image, params) -> Image``            changes an image; called for each frame of an animation
``(picture, params) -> Picture``        changes all frames together
``(image, params) -> Report``           an analysis: its result is a JSON file, of the first frame
``(params) -> Output`` (or ``Tiles``)  changes only how the result is encoded
======================================  =================================================================

A further argument ``files`` gives access to the files that the parameters name.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, get_type_hints, overload

import pyvips

from image_processor import __version__
from image_processor.imaging.files import Files
from image_processor.imaging.output import Output, Report, Tiles
from image_processor.imaging.params import NoParams, Params
from image_processor.imaging.picture import Picture, UnsuitableImageError

__all__ = ["Algorithm", "NoParams", "Params", "UnsuitableImageError", "algorithm", "all_algorithms", "find_algorithm"]

ENTRY_POINT_GROUP = "pixmill.algorithms"

OTHER = "other"
"""The category of an algorithm that names none."""

Run = Callable[..., object]
Frames = Literal["each", "all", "first"]
Result = Literal["image", "json", "zip"]


@dataclass(frozen=True)
class Algorithm:
    """An algorithm, as the API, the worker and the documentation use it.

    :param category: the group in which a form shows it.
    :param takes: the type of the first argument of the function, ``None`` if that is the params.
    :param version: the version of the package that it comes from.
    :param scale_free: whether a preview may shrink the image before this step instead of after it.
    """

    name: str
    summary: str
    params: type[Params]
    run: Run
    takes: type | None
    gives: type
    needs_files: bool
    sequential: bool
    any_color_space: bool
    first_frame_only: bool
    category: str = OTHER
    version: str = __version__
    scale_free: bool = False

    @property
    def frames(self) -> Frames:
        """Return which frames of an animation are used: ``each`` by itself, ``all`` together, or only the ``first``."""
        if self.first_frame_only or issubclass(self.gives, Report | Tiles):
            return "first"
        return "each" if self.takes is pyvips.Image else "all"

    @property
    def result(self) -> Result:
        if issubclass(self.gives, Report):
            return "json"
        return "zip" if issubclass(self.gives, Tiles) else "image"

    @property
    def example(self) -> dict[str, object]:
        """Return params for a demonstration: the first example of each parameter that has examples."""
        fields = self.params.model_fields.items()
        return {name: field.examples[0] for name, field in fields if field.examples}

    @property
    def changes_image(self) -> bool:
        """Whether further steps may follow: it neither analyzes nor encodes."""
        return issubclass(self.gives, pyvips.Image | Picture)

    @property
    def encodes(self) -> bool:
        """Whether it only chooses how the result is encoded; :meth:`encoding` returns it."""
        return self.takes is None

    def encoding(self, params: Params) -> Output | Tiles:
        """Return how the result is encoded."""
        made = self.run(params)
        if isinstance(made, Output | Tiles):
            return made
        raise self._wrong_type(made)

    def apply(self, picture: Picture, params: Params, files: Files) -> Picture | Report:
        """Run on an upright picture.

        :raises UnsuitableImageError: the algorithm cannot be applied to this image.
        """
        if self.frames == "first":
            picture = replace(picture, frames=picture.frames[:1])
        if not self.any_color_space:
            picture = picture.in_srgb()
        arguments = (params, files) if self.needs_files else (params,)
        if self.takes is Picture:
            made = self.run(picture, *arguments)
            if isinstance(made, Picture | Report):
                return made
            raise self._wrong_type(made)
        changed = [self.run(frame, *arguments) for frame in picture.frames]
        if isinstance(changed[0], Report):
            return changed[0]
        images = [frame for frame in changed if isinstance(frame, pyvips.Image)]
        if not images:
            raise self._wrong_type(changed[0])
        return Picture.of(images)

    def _wrong_type(self, made: object) -> TypeError:
        return TypeError(f"algorithm {self.name} returned a {type(made).__name__}")


@overload
def algorithm(run: Run, /) -> Algorithm: ...


@overload
def algorithm(
    *,
    category: str = ...,
    sequential: bool = ...,
    any_color_space: bool = ...,
    first_frame_only: bool = ...,
    scale_free: bool = ...,
) -> Callable[[Run], Algorithm]: ...


def algorithm(
    run: Run | None = None,
    /,
    *,
    category: str = OTHER,
    sequential: bool = False,
    any_color_space: bool = False,
    first_frame_only: bool = False,
    scale_free: bool = False,
) -> Algorithm | Callable[[Run], Algorithm]:
    """Make an algorithm of a function, with its name, docstring and types.

    :param category: the group in which a form shows it: geometry, color, detail, composing, faces, encoding, analysis.
    :param sequential: the function reads the image once, from top to bottom, so that a large image can be streamed.
    :param any_color_space: the function moves pixels and does not compute with their values, so it takes CMYK and wide
        gamuts too. Otherwise it gets gray or sRGB.
    :param first_frame_only: only the first frame of an animation is used.
    :param scale_free: with all params, the image keeps its size, and a shrunk image gives the shrunk result: each
        value is a weighted sum of those at one place, none is ever clipped, and no length counts pixels.
    """

    def described(function: Run) -> Algorithm:
        types = get_type_hints(function)
        first = next(iter(inspect.signature(function).parameters))
        return Algorithm(
            name=function.__name__,
            summary=(inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " "),
            params=types["params"],
            run=function,
            takes=None if first == "params" else types[first],
            gives=types["return"],
            needs_files="files" in types,
            sequential=sequential,
            any_color_space=any_color_space,
            first_frame_only=first_frame_only,
            category=category,
            scale_free=scale_free,
        )

    return described if run is None else described(run)


@cache
def all_algorithms() -> Mapping[str, Algorithm]:
    """Return every algorithm by its name, sorted by name."""
    found = (find_algorithm(name) for name in sorted({*_modules(), *_entry_points()}))
    return {algorithm.name: algorithm for algorithm in found if algorithm is not None}


@cache
def find_algorithm(name: str) -> Algorithm | None:
    """Return the algorithm of that name, without loading other modules."""
    if name in _modules():
        found = getattr(importlib.import_module(f"{__package__}.{name}"), name, None)
        return found if isinstance(found, Algorithm) else None
    entry_point = _entry_points().get(name)
    if entry_point is None:
        return None
    loaded: Algorithm = entry_point.load()
    package = entry_point.dist
    return replace(loaded, version=f"{package.name} {package.version}" if package else "")


@cache
def _modules() -> Collection[str]:
    return {found.name for found in pkgutil.iter_modules(importlib.import_module(__package__ or "").__path__)}


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)}
