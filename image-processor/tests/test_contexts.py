"""Each code of a problem or a field has one status and one set of values; the documentation lists them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from file_storage.routers.statuses import STATUSES as STATUSES_OF_FILES
from image_processor.render.failures import STATUSES as STATUSES_OF_FAILURES
from image_processor.render.problems import STATUSES as STATUSES_OF_RENDERS
from image_processor.statuses import STATUSES as STATUSES_OF_TASKS
from service_kit.access.statuses import STATUSES as STATUSES_OF_ACCESS
from service_kit.events.routes import STATUSES as STATUSES_OF_EVENTS
from service_kit.problems import TYPES, Problem

from tests.support.refusals import Refusal, fields_in, problems_in

PROJECT = Path(__file__).parents[2]
PACKAGES = [PROJECT / name / "src" for name in ("service-kit", "file-storage", "image-processor")]
TABLES = (
    STATUSES_OF_FILES,
    STATUSES_OF_TASKS,
    STATUSES_OF_ACCESS,
    STATUSES_OF_EVENTS,
    STATUSES_OF_RENDERS["native"],
    STATUSES_OF_FAILURES,
)

PASSED_ON = {"problems.py": "another error's", "service.py": "another process's", "api.py": "werkzeug's"}
"""Modules whose problem codes cannot be determined from the source, each with the origin of the code."""
INNER = {"no-render-route"}
"""Codes that no client receives."""


# Not read during collection: each test runner collects all tests, but only one runs these.
@cache
def problems() -> Sequence[Refusal]:
    return problems_in(PACKAGES)


@cache
def fields() -> Sequence[Refusal]:
    return fields_in(PACKAGES)


def by_code(found: Iterable[Refusal]) -> Mapping[str, set[frozenset[str] | None]]:
    """Return the contexts of each code."""
    contexts = defaultdict[str, set[frozenset[str] | None]](set)
    for each in found:
        if each.code is not None:
            contexts[each.code].add(each.keys)
    return contexts


def statuses_of(code: str) -> set[int]:
    """Return the HTTP statuses of a code in the sources."""
    said = {each.status for each in problems() if each.code == code and each.status is not None}
    return said | {table[code] for table in TABLES if code in table}


def documented(page: str) -> Mapping[str, tuple[int, frozenset[str]]]:
    """Return the status and the context of each code in the table of a page."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| (.*) \|$", (PROJECT / page).read_text("utf-8"), re.MULTILINE)
    return {code: (int(status), frozenset(re.findall(r"`(\w+)`", keys))) for code, status, keys in rows}


STATIC = [json.loads(path.read_text("utf-8")) for path in sorted((PROJECT / "web/problems").rglob("*.json"))]
"""The problems that nginx answers itself."""


def codes() -> Sequence[str]:
    """Return the codes of problems that clients receive."""
    found = sorted(by_code(problems()).keys() - INNER)
    assert len(found) > 100
    return found


@pytest.mark.slow
def test_only_modules_that_pass_errors_on_have_codes_that_are_not_to_be_seen() -> None:
    assert {each.place.partition(":")[0] for each in problems() if each.code is None} == PASSED_ON.keys()


@pytest.mark.slow
def test_only_the_makers_of_documents_have_fields_whose_codes_are_not_to_be_seen() -> None:
    assert {each.place.partition(":")[0] for each in fields() if each.code is None} == {
        "errors.py",
        "field_errors.py",
        "problems.py",
    }


def unclear(contexts: Mapping[str, set[frozenset[str] | None]]) -> Mapping[str, set[frozenset[str] | None]]:
    """Return the codes whose context has several sets of names or cannot be determined."""
    return {code: keys for code, keys in contexts.items() if len(keys) != 1 or None in keys}


def test_a_problem_has_one_context() -> None:
    contexts = by_code(problems())

    assert unclear({code: contexts[code] for code in codes()}) == {}


def test_a_field_has_one_context() -> None:
    contexts = by_code(fields())

    assert len(contexts) > 1
    assert unclear(contexts) == {}


def test_a_problem_has_one_status() -> None:
    assert {code: statuses for code in codes() if len(statuses := statuses_of(code)) != 1} == {}


def test_a_problem_has_the_type_of_its_code_and_a_title() -> None:
    for code in codes():
        [status] = statuses_of(code)

        document = Problem(code, status, "It is refused.").document()

        assert (document["type"], document["code"]) == (f"{TYPES}{code}", code)
        assert document["title"], code


@pytest.mark.parametrize("document", STATIC, ids=lambda document: document["code"])
def test_nginx_gives_a_code_the_context_and_the_status_of_the_services(document: Mapping[str, object]) -> None:
    code, context = str(document["code"]), document["context"]
    assert isinstance(context, dict)

    assert by_code(problems()).get(code, {frozenset(context)}) == {frozenset(context)}
    assert statuses_of(code) <= {document["status"]}


@pytest.mark.parametrize("page", ["docs/api/problems.md", "docs/ru/api/problems.md"])
def test_the_documentation_lists_the_codes_with_their_contexts(page: str) -> None:
    of_nginx = {each["code"]: (each["status"], frozenset(each["context"])) for each in STATIC}
    contexts = by_code(problems())
    of_services = {code: (*statuses_of(code), *contexts[code]) for code in codes()}

    assert documented(page) == of_nginx | of_services
