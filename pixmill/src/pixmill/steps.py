"""Processing steps: one algorithm, or several joined with ``|``.

The algorithms of this version are in :mod:`pixmill.params`; :class:`Custom` is for others, such as a plugin's.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar


@dataclass(frozen=True)
class Value:
    """The base class of params. ``None`` is not sent, so the server's default applies."""

    def as_json(self) -> dict[str, object]:
        """Return the JSON for the API."""
        return {name: _as_json(value) for name, value in self.given().items()}

    def given(self) -> dict[str, object]:
        """Return the params that are not ``None``, by the API's names."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


class Chain(ABC):
    """Something that can be joined with ``|``."""

    @abstractmethod
    def steps(self) -> "Sequence[Step]":
        """Return the steps in order."""

    def __or__(self, following: "Chain") -> "Pipeline":
        return Pipeline((*self.steps(), *following.steps()))


@dataclass(frozen=True)
class Step(Value, Chain):
    """An algorithm with its params.

    :cvar algorithm: the algorithm's name.
    :cvar gives_image: whether the result is an image, not an analysis or tiles.
    :cvar gathered: params whose value is an object, each with the names of its fields, which this class declares
    directly.
    """

    algorithm: ClassVar[str]
    gives_image: ClassVar[bool] = True
    gathered: ClassVar[Mapping[str, Sequence[str]]] = {}

    def steps(self) -> "Sequence[Step]":
        return (self,)

    @property
    def name(self) -> str:
        return self.algorithm

    def as_json(self) -> dict[str, object]:
        document = super().as_json()
        for target, names in self.gathered.items():
            inner = {name: document.pop(name) for name in names if name in document}
            if inner:
                document[target] = inner
        return document


@dataclass(frozen=True)
class Custom(Step):
    """Any algorithm by name, with params that this library does not know.

    >>> Custom("polaroid", {"tilt": 5})
    """

    called: str
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.called

    def as_json(self) -> dict[str, object]:
        return dict(self.params)


@dataclass(frozen=True)
class Pipeline(Chain):
    """Several steps; each processes the result of the previous one."""

    parts: Sequence[Step]

    def steps(self) -> Sequence[Step]:
        return self.parts


def _as_json(value: object) -> object:
    if isinstance(value, Value):
        return value.as_json()
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value


def request_of(
    what: Chain | str | None,
    *,
    preset: str | None,
    params: Mapping[str, object] | None,
    ends: Mapping[str, Value | None],
) -> dict[str, object]:
    """Return the part of a batch request that describes the processing.

    :param what: steps, or the name of an algorithm with ``params``.
    :param ends: ``output`` and ``source``.
    :raises ValueError: there is neither a step nor a preset, or there are both.
    """
    extra = {name: value.as_json() for name, value in ends.items() if value is not None}
    if (what is None) == (preset is None):
        raise ValueError("give either steps or preset=")
    if preset is not None:
        if extra or params is not None:
            raise ValueError("a preset has its own params, output and source")
        return {"preset": preset}
    if isinstance(what, str):
        return {"algorithm": what, "params": {**(params or {}), **extra}}
    if params is not None:
        raise ValueError("params= is only for an algorithm given by name; steps have their own")
    steps = what.steps() if what is not None else ()
    if len(steps) == 1:
        return {"algorithm": steps[0].name, "params": {**steps[0].as_json(), **extra}}
    chain = [{"algorithm": step.name, "params": step.as_json()} for step in steps]
    return {"algorithm": "pipeline", "params": {"steps": chain, **extra}}


def pipeline_of(what: Chain | Mapping[str, object], output: Value | None, source: Value | None) -> dict[str, object]:
    """Return the params of a pipeline, in the form of a preset; also for a single step."""
    if isinstance(what, Chain):
        document: dict[str, object] = {
            "steps": [{"algorithm": step.name, "params": step.as_json()} for step in what.steps()]
        }
    else:
        document = dict(what)
    ends = {"output": output, "source": source}
    return document | {name: value.as_json() for name, value in ends.items() if value is not None}
