"""Finds the algorithms: every module beside this one, and the entry points ``pixmill.algorithms``."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Generic, TypeVar, get_type_hints

import pyvips
from pydantic import BaseModel, ConfigDict

ENTRY_POINT_GROUP = "pixmill.algorithms"


class UnsuitableImageError(Exception):
    """The algorithm cannot be applied to this image with these params; the message says why."""


class Params(BaseModel):
    """Base of every algorithm's parameters; an unknown parameter is an error."""

    model_config = ConfigDict(extra="forbid")


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Algorithm(Generic[P]):
    """An algorithm as the API, the worker and the documentation see it."""

    name: str
    summary: str
    params: type[P]
    run: Callable[[pyvips.Image, P], pyvips.Image]

    def apply(self, image: pyvips.Image, params: Mapping[str, object]) -> pyvips.Image:
        """Runs on an upright image.

        :raises pydantic.ValidationError: ``params`` are not the algorithm's.
        :raises UnsuitableImageError: it cannot be done to this image.
        """
        return self.run(image, self.params.model_validate(params))


def algorithm(run: Callable[[pyvips.Image, P], pyvips.Image]) -> Algorithm[P]:
    """Decorator: the function's name, docstring and parameter type become the algorithm's."""
    return Algorithm(
        name=run.__name__,
        summary=(inspect.getdoc(run) or "").split("\n\n")[0].replace("\n", " "),
        params=get_type_hints(run)["params"],
        run=run,
    )


@cache
def all_algorithms() -> Mapping[str, Algorithm[Params]]:
    """Every algorithm by its name, in the order of names."""
    package = importlib.import_module(__package__ or "")
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Algorithm)]
    found += [entry_point.load() for entry_point in entry_points(group=ENTRY_POINT_GROUP)]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}
