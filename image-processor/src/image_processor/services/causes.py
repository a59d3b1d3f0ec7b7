"""Why tasks end in error: the types of their problems, and how a task's row keeps its problem."""

import json
from collections.abc import Mapping
from enum import StrEnum

from service_kit.languages import ENGLISH, Language, translated
from service_kit.problems import TYPES
from service_kit.texts import context_of, restored, stored


class Cause(StrEnum):
    """The last part of the type of a task's problem."""

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
    TOO_MANY_FAILURES = "too-many-failures"
    TASK_FAILED = "task-failed"


def stored_problem(cause: Cause, sentence: str) -> str:
    """Return a problem as a task's row keeps it: with what a translation needs."""
    return json.dumps({"cause": cause, **stored(sentence)}, ensure_ascii=False)


def problem_document(row: str | None, language: Language = ENGLISH) -> Mapping[str, object] | None:
    """Return the problem of a task for its JSON; ``None`` if it ended before tasks had problems.

    :param row: what :func:`stored_problem` returned.
    """
    if row is None:
        return None
    kept = json.loads(row)
    detail = restored(kept)
    return {"type": f"{TYPES}{kept['cause']}", "detail": translated(detail, language), "context": context_of(detail)}
