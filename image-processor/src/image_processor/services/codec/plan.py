"""Parses a task's algorithm and params into a plan: the steps, and the encoding of the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError, create_model
from service_kit.errors import DomainError, FieldError
from service_kit.field_errors import invalid_fields
from service_kit.texts import sentence

from image_processor.algorithms.registry import Algorithm, Params, all_algorithms, find_algorithm
from image_processor.imaging.output import COMPARED, Output, Tiles
from image_processor.imaging.source import Source

_Model = TypeVar("_Model", bound=Params)

PIPELINE = "pipeline"
MAX_STEPS = 20
_OUTPUT = "How the result is encoded."
_SOURCE = "How the source is read: which page, and at which resolution it is drawn."


class Step(Params):
    """A step of a pipeline."""

    algorithm: str = Field(min_length=1, max_length=64, description="A name from `algorithms`.")
    params: dict[str, object] | None = Field(
        None, description="According to the algorithm's schema, without `output` and `source`."
    )


class Pipeline(Params):
    """Several algorithms in sequence on an image that is decoded and encoded once."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=MAX_STEPS)] = Field(
        description="The steps, in order; each step processes the result of the previous step."
    )
    output: Output | None = Field(None, description=_OUTPUT)
    source: Source | None = Field(None, description=_SOURCE)


@dataclass(frozen=True)
class Plan:
    """Describes how to read the source, process the image and encode the result.

    :param by_format: the output in each format, by its name, if the codec chooses the format and the outputs differ.
    :param compared: the formats that `auto` compares.
    :param accepts_still: whether the first frame is enough if the others cannot be read.
    """

    steps: Sequence[tuple[Algorithm, Params]]
    encoding: Output | Tiles
    source: Source
    by_format: Mapping[str, Output] = field(default_factory=dict)
    compared: Sequence[str] = COMPARED
    accepts_still: bool = False

    def file_ids(self) -> Sequence[int]:
        """Return the ids of the files that the steps use in addition to the source, without duplicates."""
        return list(dict.fromkeys(file_id for _, params in self.steps for file_id in params.file_ids()))

    def identity(self) -> list[object]:
        """Return everything except the files that the result depends on, as JSON values with defaults filled in."""
        steps = [[algorithm.name, algorithm.version, _dumped(params)] for algorithm, params in self.steps]
        return [steps, type(self.encoding).__name__, _dumped(self.encoding), _dumped(self.source)]


def plan_of(algorithm: str, params: Mapping[str, object] | None) -> Plan:
    """Return the plan of a task.

    :raises DomainError: ``unknown-algorithm``, or ``invalid-fields`` if the params are invalid.
    """
    if algorithm == PIPELINE:
        return _plan_of_pipeline(_validated(Pipeline, params, "/params"))
    named = _named(algorithm, "/algorithm")
    validated = _validated(task_params(named), params, "/params")
    return _plan([(named, validated)], getattr(validated, "output", None), getattr(validated, "source", None))


@cache
def task_params(algorithm: Algorithm) -> type[Params]:
    """Return the model of a task's params: the algorithm's, ``source``, and ``output`` if the result is an image."""
    name, text = f"{algorithm.name.title().replace('_', '')}TaskParams", algorithm.params.__doc__
    read = create_model(
        name, __base__=algorithm.params, __doc__=text, source=(Source | None, Field(None, description=_SOURCE))
    )
    if not algorithm.changes_image:
        return read
    return create_model(name, __base__=read, __doc__=text, output=(Output | None, Field(None, description=_OUTPUT)))


def _plan_of_pipeline(pipeline: Pipeline) -> Plan:
    steps = []
    for place, step in enumerate(pipeline.steps):
        pointer = f"/params/steps/{place}"
        algorithm = _named(step.algorithm, f"{pointer}/algorithm")
        if not algorithm.changes_image and place + 1 < len(pipeline.steps):
            detail = sentence("'{name}' must be the last step of a pipeline.", name=algorithm.name)
            raise DomainError(
                "invalid-fields",
                detail,
                [FieldError(pointer=f"{pointer}/algorithm", detail=detail, code="ends_pipeline")],
            )
        steps.append((algorithm, _validated(algorithm.params, step.params, f"{pointer}/params")))
    return _plan(steps, pipeline.output, pipeline.source)


def _plan(steps: Sequence[tuple[Algorithm, Params]], output: Output | None, source: Source | None) -> Plan:
    """Return the plan; fields set in ``output`` override the encoding of the last step."""
    last, params = steps[-1]
    given, source = output or Output(), source or Source()
    if not last.encodes:
        return Plan(steps, given, source)
    encoding = last.encoding(params)
    if isinstance(encoding, Output):
        encoding = encoding.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})
    return Plan(steps[:-1], encoding, source)


def _dumped(params: Params) -> dict[str, object]:
    """Return the step's own params; ``output`` and ``source`` belong to the plan."""
    return params.model_dump(mode="json", exclude={"output", "source"})


def _named(name: str, pointer: str) -> Algorithm:
    found = find_algorithm(name)
    if found is None:
        names = ", ".join([*all_algorithms(), PIPELINE])
        detail = sentence("There is no algorithm '{name}'; there are: {names}.", name=name[:64], names=names)
        raise DomainError("unknown-algorithm", detail, [FieldError(pointer=pointer, detail=detail)])
    return found


def _validated(model: type[_Model], params: Mapping[str, object] | None, pointer: str) -> _Model:
    try:
        return model.model_validate(params or {})
    except ValidationError as error:
        raise invalid_fields(error, params or {}, pointer, model) from error
