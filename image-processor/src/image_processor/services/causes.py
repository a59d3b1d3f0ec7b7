"""Problem types of tasks that ended in error, and how a task's row stores its problem."""

import json
from collections.abc import Hashable, Mapping
from enum import StrEnum

import structlog
from service_kit.languages import ENGLISH, Language, translated
from service_kit.problems import TYPES
from service_kit.texts import Sentence, all_values_of, restored, stored

log = structlog.get_logger()
_MOST_BRACKETS = 400
"""The most arrays and objects of a stored problem: nested more deeply, they would exceed Python's stack."""


class Cause(StrEnum):
    """The last path segment of a problem's type."""

    IMAGE_UNREADABLE = "image-unreadable"
    IMAGE_UNSUPPORTED = "image-unsupported"
    IMAGE_TOO_LARGE = "image-too-large"
    IMAGE_UNSUITABLE = "image-unsuitable"
    PAGE_NOT_FOUND = "page-not-found"
    OUTPUT_IMPOSSIBLE = "output-impossible"
    RESULT_NOT_WRITTEN = "result-not-written"
    RESULT_TOO_LARGE = "result-too-large"
    RESULT_REFUSED = "result-refused"
    FILE_GONE = "file-gone"
    FILE_TOO_LARGE = "file-too-large"
    OUT_OF_MEMORY = "out-of-memory"
    TASK_OUTDATED = "task-outdated"
    TASK_TOO_SLOW = "task-too-slow"
    TOO_MANY_CRASHES = "too-many-crashes"
    TOO_MANY_LOSSES = "too-many-losses"
    TOO_MANY_FAILURES = "too-many-failures"
    TASK_FAILED = "task-failed"


def stored_problem(cause: Cause, sentence: str) -> str:
    """Return a problem in the form that a task's row stores, with everything that a translation needs."""
    return json.dumps({"cause": cause, **stored(sentence)}, ensure_ascii=False)


def problem_document(row: str | None, language: Language = ENGLISH) -> Mapping[str, object] | None:
    """Return the problem of a task for its JSON; ``None`` if the task failed before rows stored problems.

    It is also ``None`` if the row is broken: the task's error, which is a text, says what went wrong.

    :param row: the return value of :func:`stored_problem`.
    """
    kept = None if row is None else _kept_in(row)
    if kept is None:
        if row is not None:
            log.warning("stored problem of a task is broken", characters=len(row))
        return None
    detail = restored(kept)
    return {"type": f"{TYPES}{kept['cause']}", "detail": translated(detail, language), "context": all_values_of(detail)}


def _kept_in(row: str) -> Mapping[str, object] | None:
    """Return the content of a stored problem; ``None`` if an answer could not contain it.

    A process that a picture has taken over may have stored anything, and would fail every list with its task.
    """
    if row.count("[") + row.count("{") > _MOST_BRACKETS:
        return None
    try:
        kept = json.loads(row)
        # Half a surrogate pair has no bytes, and an infinite number no JSON.
        json.dumps(kept, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return None
    is_whole = isinstance(kept, dict) and all(isinstance(kept.get(name), str) for name in ("cause", "text"))
    return kept if is_whole else None


class _Omitted(str):
    """Placeholder that ignores every format specification."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


_OMITTED = _Omitted("…")


class KindOfProblem:
    """The kind of a problem: its type, and its sentence without the values.

    :param kept: the content of a stored problem of this kind.
    """

    def __init__(self, kept: Mapping[str, object]) -> None:
        self._kept = kept
        self.key: Hashable = (self._kept["cause"], _shape(self._kept))
        """A key that is equal for problems of the same kind."""

    @property
    def type(self) -> str:
        """The type shared by these problems."""
        return f"{TYPES}{self._kept['cause']}"

    @property
    def sentence(self) -> Sentence:
        """The sentence with ``…`` in place of each value."""
        return _without_values(restored(self._kept))


def kind_of_problem(row: str | None) -> KindOfProblem | None:
    """Return the kind of a task's problem; ``None`` where :func:`problem_document` is ``None`` too."""
    kept = None if row is None else _kept_in(row)
    return None if kept is None else KindOfProblem(kept)


def _shape(kept: Mapping[str, object]) -> Hashable:
    """Return a stored sentence without its values. It is not formatted here, because a batch may have thousands."""
    values = kept.get("values")
    parts = values.items() if isinstance(values, Mapping) else ()
    inner = tuple((name, _shape(value)) for name, value in parts if isinstance(value, Mapping) and "text" in value)
    return str(kept.get("template", kept["text"])), inner


def _without_values(sentence: Sentence) -> Sentence:
    values = {
        name: _without_values(value) if isinstance(value, Sentence) else _OMITTED
        for name, value in sentence.values.items()
    }
    return Sentence(sentence.template, values, counted=sentence.counted)
