"""All texts for users have a Russian translation with the same placeholders."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from file_storage.routers.statuses import STATUSES as STATUSES_OF_FILES
from image_processor.algorithms.registry import all_algorithms
from image_processor.models import TaskStatus
from image_processor.render import imagor_filters
from image_processor.render.dialects import native, thumbor
from image_processor.render.imgproxy_plan import OPTION_STATES
from image_processor.render.problems import STATUSES as STATUSES_OF_RENDERS
from image_processor.render.thumbor_filters import State
from image_processor.services.catalog import (
    ALGORITHM,
    CATEGORY,
    CHOICE,
    PARAMETER,
    PIPELINE_SUMMARY,
    words,
)
from image_processor.services.codec.plan import PIPELINE, Pipeline, task_params
from image_processor.statuses import STATUSES as STATUSES_OF_TASKS
from service_kit.languages import has_translation
from service_kit.problems import Problem
from service_kit.texts import placeholders

from tests.support.messages import messages_of, translations_in, untranslatable_in

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
PACKAGES = ("service-kit/src/service_kit", "file-storage/src/file_storage", "image-processor/src/image_processor")
CATALOG = "locale/ru/LC_MESSAGES/messages.po"
STATUSES = (STATUSES_OF_FILES, STATUSES_OF_TASKS, *STATUSES_OF_RENDERS.values())

PLAIN = {
    "access/config.py": "settings: an operator reads it in the log",
    "config.py": "settings",
    "settings.py": "settings",
    "render/config.py": "settings",
    "render/dialects/imgproxy.py": "settings",
    "render/signing.py": "settings",
    "events/rows.py": "caught: the caller says it in its own words",
    "imaging/cube.py": "caught: the caller says it in its own words",
}
"""Modules whose errors need no translation, each with the reason."""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sentence_of_the_code_has_a_russian_one(package: str) -> None:
    known = {message for each in PACKAGES for _, message in translations_in(PROJECT / each / CATALOG)}

    assert messages_of(PROJECT / package) - known == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_refusal_can_be_translated(package: str) -> None:
    found = {(module, text) for module, text in untranslatable_in(PROJECT / package) if module not in PLAIN}

    assert found == set(), "write sentence(…)"


def test_a_module_with_plain_refusals_still_has_them() -> None:
    modules = {module for package in PACKAGES for module, _ in untranslatable_in(PROJECT / package)}

    assert modules >= PLAIN.keys()


@pytest.mark.parametrize(
    "refusal",
    [
        'raise Problem("too-long", 422, "It is too long.")',
        'raise DomainError("too-long", f"It has {count} characters.")',
        'raise DomainError("too-long", detail="It is too long.")',
        'raise ValueError("It is too long." if count else sentence("It is empty."))',
        'detail = "It is " + word\nraise bad_option("w", detail)',
    ],
)
def test_a_plain_refusal_is_found(tmp_path: Path, refusal: str) -> None:
    (tmp_path / "module.py").write_text(refusal)

    assert len(untranslatable_in(tmp_path)) == 1


@pytest.mark.parametrize("status", sorted({status for statuses in STATUSES for status in statuses.values()}))
def test_the_title_of_every_status_is_russian(status: int) -> None:
    title = Problem("checksum-mismatch", status, "").document("ru")["title"]

    assert re.search("[а-яё]", str(title))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_translation_has_the_placeholders_of_its_message(package: str) -> None:
    for (_, message), translation in translations_in(PROJECT / package / CATALOG).items():
        if placeholders_of(message):
            assert placeholders_of(translation) == placeholders_of(message), message


def placeholders_of(message: str) -> frozenset[tuple[str, str]]:
    """Return the placeholders; none if the text has other braces."""
    try:
        return placeholders(message)
    except ValueError:
        return frozenset()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_compiled_catalog_is_up_to_date(package: str) -> None:
    catalog = PROJECT / package / CATALOG

    with catalog.with_suffix(".mo").open("rb") as file:
        compiled = {(message.context or "", message.id): message.string for message in read_mo(file) if message.id}

    assert compiled == translations_in(catalog), "run `make translations`"


def schemas() -> Iterator[Mapping[str, object]]:
    yield from (task_params(algorithm).model_json_schema() for algorithm in all_algorithms().values())
    yield Pipeline.model_json_schema()


def texts_in(part: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names, choices and descriptions in a schema, each with its context."""
    if isinstance(part, Mapping):
        if isinstance(part.get("description"), str):
            yield "", part["description"]
        for name, value in part.items():
            if key == "properties":
                yield PARAMETER, words(name)
            if key == "$defs" and not name.endswith("Params"):
                yield PARAMETER, words(name)
            yield from texts_in(value, "" if key in ("properties", "$defs") else name)
    elif isinstance(part, list):
        for value in part:
            if key == "enum":
                yield CHOICE, words(str(value))
            yield from texts_in(value)


def test_every_text_of_the_catalog_has_a_russian_one() -> None:
    algorithms = all_algorithms().values()
    texts = {found for schema in schemas() for found in texts_in(schema)}
    texts |= {("", algorithm.summary) for algorithm in algorithms} | {("", PIPELINE_SUMMARY)}
    texts |= {(ALGORITHM, words(name)) for name in [*all_algorithms(), PIPELINE]}
    texts |= {(CATEGORY, words(algorithm.category)) for algorithm in algorithms} | {(CATEGORY, words(PIPELINE))}

    assert len(texts) > 400
    assert {(context, text) for context, text in texts if not has_translation(text, "ru", context)} == set()


@pytest.mark.parametrize("states", [native.OPTIONS, thumbor.FILTERS, imagor_filters.FILTERS, OPTION_STATES])
def test_every_note_of_a_render_option_has_a_russian_one(states: Mapping[str, State]) -> None:
    notes = {state.note for state in states.values() if re.sub("`[^`]*`", "", state.note)}

    assert {note for note in notes if not has_translation(note, "ru")} == set()


@pytest.mark.parametrize("status", TaskStatus)
def test_every_status_has_a_russian_name(status: TaskStatus) -> None:
    assert has_translation(status, "ru")
