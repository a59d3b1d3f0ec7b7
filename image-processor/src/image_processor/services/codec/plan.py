"""What a task does: the steps of its algorithm, or of a pipeline, and how the result is encoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError, create_model
from service_kit.errors import DomainError, FieldError
from service_kit.field_errors import invalid_fields

from image_processor.algorithms.registry import Algorithm, Params, all_algorithms, find_algorithm
from image_processor.imaging.output import Output, Tiles
from image_processor.imaging.source import Source

_Model = TypeVar("_Model", bound=Params)

PIPELINE = "pipeline"
MAX_STEPS = 20
_OUTPUT = "How the result is encoded."
_SOURCE = "How the source is read: which page, and how finely it is drawn."


class Step(Params):
    """A step of a pipeline."""

    algorithm: str = Field(min_length=1, max_length=64, description="A name from `algorithms`.")
    params: dict[str, object] | None = Field(
        None, description="As the algorithm's own schema says, without `output` and `source`."
    )


class Pipeline(Params):
    """Several algorithms, one after the other, on an image that is decoded and encoded once."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=MAX_STEPS)] = Field(
        description="What is done, in order; each step takes what the one before it made."
    )
    output: Output | None = Field(None, description=_OUTPUT)
    source: Source | None = Field(None, description=_SOURCE)


@dataclass(frozen=True)
class Plan:
    """How a source is read, what is done to the image, one step after the other, and how the result is encoded."""

    steps: Sequence[tuple[Algorithm, Params]]
    encoding: Output | Tiles
    source: Source

    def file_ids(self) -> Sequence[int]:
        """The files, beside the source, that the steps name, each once."""
        return list(dict.fromkeys(file_id for _, params in self.steps for file_id in params.file_ids()))

    def identity(self) -> list[object]:
        """What the result depends on, beside the files, for JSON: defaults count as if they were given."""
        steps = [[one.name, one.version, _dumped(params)] for one, params in self.steps]
        return [steps, type(self.encoding).__name__, _dumped(self.encoding), _dumped(self.source)]


def plan_of(algorithm: str, params: Mapping[str, object] | None) -> Plan:
    """Return the plan of a task.

    :raises DomainError: ``unknown-algorithm``; ``invalid-fields``, its params are wrong.
    """
    if algorithm == PIPELINE:
        return _plan_of_pipeline(_validated(Pipeline, params, "/params"))
    one = _named(algorithm, "/algorithm")
    validated = _validated(task_params(one), params, "/params")
    return _plan([(one, validated)], getattr(validated, "output", None), getattr(validated, "source", None))


@cache
def task_params(one: Algorithm) -> type[Params]:
    """The algorithm's parameters as a task has them: with ``source``, and with ``output`` where there is an image to be
    encoded.
    """
    name, text = f"{one.name.title().replace('_', '')}TaskParams", one.params.__doc__
    read = create_model(
        name, __base__=one.params, __doc__=text, source=(Source | None, Field(None, description=_SOURCE))
    )
    if not one.changes_image:
        return read
    return create_model(name, __base__=read, __doc__=text, output=(Output | None, Field(None, description=_OUTPUT)))


def _plan_of_pipeline(pipeline: Pipeline) -> Plan:
    steps = []
    for place, step in enumerate(pipeline.steps):
        pointer = f"/params/steps/{place}"
        one = _named(step.algorithm, f"{pointer}/algorithm")
        if not one.changes_image and place + 1 < len(pipeline.steps):
            detail = f"'{one.name}' ends a pipeline: nothing can follow it."
            raise DomainError("invalid-fields", detail, [FieldError(pointer=f"{pointer}/algorithm", detail=detail)])
        steps.append((one, _validated(one.params, step.params, f"{pointer}/params")))
    return _plan(steps, pipeline.output, pipeline.source)


def _plan(steps: Sequence[tuple[Algorithm, Params]], output: Output | None, source: Source | None) -> Plan:
    """What ``output`` gives goes before what the last step says of the encoding."""
    last, params = steps[-1]
    given, source = output or Output(), source or Source()
    if not last.encodes:
        return Plan(steps, given, source)
    encoding = last.encoding(params)
    if isinstance(encoding, Output):
        encoding = encoding.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})
    return Plan(steps[:-1], encoding, source)


def _dumped(params: Params) -> dict[str, object]:
    """Return what the params say of their own step; ``output`` and ``source`` are the plan's."""
    return params.model_dump(mode="json", exclude={"output", "source"})


def _named(name: str, pointer: str) -> Algorithm:
    found = find_algorithm(name)
    if found is None:
        names = ", ".join([*all_algorithms(), PIPELINE])
        detail = f"There is no algorithm '{name[:64]}'; there are: {names}."
        raise DomainError("unknown-algorithm", detail, [FieldError(pointer=pointer, detail=detail)])
    return found


def _validated(model: type[_Model], params: Mapping[str, object] | None, pointer: str) -> _Model:
    try:
        return model.model_validate(params or {})
    except ValidationError as error:
        raise invalid_fields(error, params or {}, pointer, model) from error
