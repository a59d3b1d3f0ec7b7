"""All texts for users have a Russian translation with the same placeholders."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from babel.core import Locale
from file_storage.routers.batch import BatchIn
from file_storage.routers.collection import FileQuery
from file_storage.routers.statuses import STATUSES as STATUSES_OF_FILES
from file_storage.routers.trash import DeleteIn
from image_processor.algorithms.registry import all_algorithms
from image_processor.models import TaskStatus
from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import filters as imagor_filters
from image_processor.render.dialects.imgproxy.plan import OPTION_STATES
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor.filters import State
from image_processor.render.problems import STATUSES as STATUSES_OF_RENDERS
from image_processor.routers.bulk import CancelIn, ForgetIn, RestartIn
from image_processor.routers.presets import PresetIn
from image_processor.routers.tasks import TasksIn
from image_processor.services.catalog import (
    ALGORITHM,
    CATEGORY,
    CHOICE,
    PARAMETER,
    PIPELINE_SUMMARY,
    words,
)
from image_processor.services.causes import Cause, kind_of_problem, stored_problem
from image_processor.services.codec.plan import PIPELINE, Pipeline, task_params
from image_processor.statuses import STATUSES as STATUSES_OF_TASKS
from pydantic import BaseModel
from pydantic_core._pydantic_core import list_all_errors
from service_kit.field_errors import TEMPLATES
from service_kit.languages import has_translation, translated
from service_kit.problems import Problem
from service_kit.texts import counted, placeholders, restored

from tests.support.messages import (
    Call,
    calls_in,
    compiled_in,
    forms_in,
    messages_of,
    translations_in,
    untranslatable_in,
)

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
PACKAGES = ("service-kit/src/service_kit", "file-storage/src/file_storage", "image-processor/src/image_processor")
CATALOG = "locale/ru/LC_MESSAGES/messages.po"
STATUSES = (STATUSES_OF_FILES, STATUSES_OF_TASKS, *STATUSES_OF_RENDERS.values())

PLAIN = {
    "access/config.py": "settings: an operator reads it in the log",
    "config.py": "settings",
    "durations.py": "settings",
    "settings.py": "settings",
    "render/config.py": "settings",
    "render/dialects/imgproxy/url.py": "settings",
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

    compiled = compiled_in(catalog.with_suffix(".mo"))

    assert compiled == (translations_in(catalog), forms_in(catalog)), "run `make translations`"


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


@pytest.mark.parametrize("states", [native.OPTIONS, thumbor_plan.FILTERS, imagor_filters.FILTERS, OPTION_STATES])
def test_every_note_of_a_render_option_has_a_russian_one(states: Mapping[str, State]) -> None:
    notes = {state.note for state in states.values() if re.sub("`[^`]*`", "", state.note)}

    assert {note for note in notes if not has_translation(note, "ru")} == set()


@pytest.mark.parametrize("status", TaskStatus)
def test_every_status_has_a_russian_name(status: TaskStatus) -> None:
    assert has_translation(status, "ru")


NOUNS = (
    ("аварийного завершения", "аварийных завершений", "аварийных завершений"),
    ("байт", "байта", "байт"),
    ("байта", "байт", "байт"),
    ("битом", "битами", "битами"),
    ("воркера", "воркеров", "воркеров"),
    ("значения", "значений", "значений"),
    ("знак", "знака", "знаков"),
    ("знака", "знаков", "знаков"),
    ("кадр", "кадра", "кадров"),
    ("кадра", "кадров", "кадров"),
    ("канал", "канала", "каналов"),
    ("незавершённой загрузки", "незавершённых загрузок", "незавершённых загрузок"),
    ("незаконченной задачи", "незаконченных задач", "незаконченных задач"),
    ("id", "id", "id"),
    ("открытого потока событий", "открытых потоков событий", "открытых потоков событий"),
    ("пиксель", "пикселя", "пикселей"),
    ("пресет", "пресета", "пресетов"),
    ("страница", "страницы", "страниц"),
    ("уровня", "уровней", "уровней"),
    ("файла", "файлов", "файлов"),
    ("цвет", "цвета", "цветов"),
    ("цвета", "цветов", "цветов"),
    ("части", "частей", "частей"),
    ("запроса", "запросов", "запросов"),
    ("с", "с", "с"),
)
"""The nouns after numbers, as after 1, 2 and 5: in the nominative, or in the genitive, as after "не больше"."""
FORMER = {"Gave up after {attempts} attempts: {reason}.": "attempts"}
"""Counted messages of earlier builds, which stored tasks still contain, each with the name of its number."""
NO_NOUN = {
    "Gave up after {attempts} attempts: {reason}.",
    "A JPEG 2000 with {components} components is not supported: save it as gray or RGB.",
    "it has at most {limit} arguments, not {count}",
}
"""Messages whose Russian number follows its noun, which is the same for all numbers."""
CASES = ("one", "few", "many")


@cache
def calls() -> Sequence[Call]:
    return [call for package in PACKAGES for call in calls_in(PROJECT / package)]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 11, 21, 101, 111, 112])
@pytest.mark.parametrize("package", PACKAGES)
def test_a_number_is_followed_by_the_form_of_the_noun(package: str, count: int) -> None:
    # The rules of CLDR; they know nothing of the catalogs.
    case = CASES.index(Locale("ru").plural_form(count))
    messages = forms_in(PROJECT / package / CATALOG)

    assert messages
    for (singular, plural), forms in messages.items():
        name = number_of(singular, plural)
        values = {each: count if each == name else 3 for each, _ in placeholders(plural)}
        said = counted(singular, plural, name, **values)
        assert said == (singular if count == 1 else plural).format(**values)
        assert translated(said, "ru") == forms[case].format(**values)
        assert plural in NO_NOUN or any(noun_of(forms, name, noun) for noun in NOUNS), forms


def noun_of(forms: Sequence[str], name: str, noun: Sequence[str]) -> bool:
    """Return whether the forms differ only in this noun after the number."""
    number = rf"({{{name}[^}}]*}} )"
    first, *others = [
        re.sub(number + re.escape(word) + r"(?!\w)", r"\1#", form, count=1)
        for form, word in zip(forms, noun, strict=True)
    ]
    return "#" in first and all(other == first for other in others)


def number_of(singular: str, plural: str) -> str:
    """Return the name of the number of a counted message, as the code names it."""
    names = {call.number for call in calls() if call.templates[-1] == plural}
    if plural in FORMER:
        assert not names, "the code has the message again"
        return FORMER[plural]
    if not names:  # a message of pydantic
        names = {name for name, _ in placeholders(singular) if name.startswith(("min_", "max_"))}
    [name] = names
    assert name is not None
    return name


def test_every_number_before_a_noun_is_counted() -> None:
    plain = [call.templates[0] for call in calls() if call.number is None]

    assert [text for text in plain if NUMBER_OF_THINGS.search(text)] == []


NUMBER_OF_THINGS = re.compile(
    r"(?<!× )(?<!file )(?<!task )(?<!Task )(?<!File )\{\w+(?::[^}]*)?\} "
    r"(?!(?:is|has|was|does|exists|lies|pixels)\b)[a-z]+s\b"
)
"""A value before a word that may be a plural; two sides of an image are followed by "pixels"."""


def test_a_sentence_that_was_stored_before_it_was_counted_is_still_translated() -> None:
    row = {"text": "1 pages", "template": "{pages:,} pages", "values": {"pages": 5}}

    assert translated(restored(row), "ru") == "5 страниц"


@pytest.mark.parametrize(
    ("stored", "russian"),
    [
        ("1 page", "1 страница"),
        (
            "The colors of this HEIF have high dynamic range (PQ or HLG), which is not supported.",
            "У этого HEIF цвета с расширенным динамическим диапазоном (PQ или HLG) — это не поддерживается.",
        ),
        (
            "The colors of this JPEG XL have high dynamic range (PQ or HLG), which is not supported.",
            "У этого JPEG XL цвета с расширенным динамическим диапазоном (PQ или HLG) — это не поддерживается.",
        ),
    ],
)
def test_a_sentence_that_was_stored_before_it_had_values_is_still_translated(stored: str, russian: str) -> None:
    assert translated(restored({"text": stored}), "ru") == russian


def test_omitted_values_have_the_form_of_many() -> None:
    said = counted("{pages:,} page", "{pages:,} pages", "pages", pages=1)

    kind = kind_of_problem(stored_problem(Cause.PAGE_NOT_FOUND, said))
    assert kind is not None
    assert (kind.sentence, translated(kind.sentence, "ru")) == ("… pages", "… страниц")


ERRORS_OF_TYPES = {
    "bool": ("bool_type", "bool_parsing"),
    "datetime": ("datetime_type", "datetime_parsing", "datetime_from_date_parsing"),
    "dict": ("dict_type",),
    "enum": ("enum",),
    "float": ("float_type", "float_parsing", "finite_number"),
    "int": ("int_type", "int_parsing", "int_parsing_size", "int_from_float", "finite_number"),
    "list": ("list_type", "too_short", "too_long"),
    "literal": ("literal_error",),
    "model-fields": ("model_type", "model_attributes_type", "missing", "extra_forbidden", "invalid_key"),
    "str": ("string_type", "string_unicode", "string_too_short", "string_too_long", "string_pattern_mismatch"),
    "tagged-union": ("union_tag_not_found", "union_tag_invalid"),
    "tuple": ("tuple_type", "too_short", "too_long", "missing"),
    "url": ("url_type", "url_parsing", "url_scheme", "url_too_long"),
}
"""The errors that pydantic raises for each type of value."""
LIMITS = {
    "ge": "greater_than_equal",
    "gt": "greater_than",
    "le": "less_than_equal",
    "lt": "less_than",
    "multiple_of": "multiple_of",
}
NO_ERRORS = frozenset(
    [
        "any",
        "default",
        "definition-ref",
        "definitions",
        "function-after",
        "function-before",
        "function-plain",
        "function-wrap",
        "model",
        "model-field",
        "no-info",
        "nullable",
        "union",
        "with-info",
    ]
)
"""Types of pydantic's schemas that have no errors of their own."""


def types_in(schema: object) -> Iterator[str]:
    """Yield the types and limits in a schema of pydantic."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema["type"]
        yield from LIMITS.keys() & schema.keys()
        for name, part in schema.items():
            if name not in ("metadata", "expected"):
                yield from types_in(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from types_in(part)


def test_every_error_of_pydantic_that_a_request_can_cause_has_a_russian_sentence() -> None:
    models: list[type[BaseModel]] = [CancelIn, RestartIn, ForgetIn, TasksIn, PresetIn, FileQuery, DeleteIn, BatchIn]
    models += [task_params(algorithm) for algorithm in all_algorithms().values()]
    types = {found for model in models for found in types_in(model.__pydantic_core_schema__)}
    known = {str(error["type"]): error["message_template_python"] for error in list_all_errors()}
    errors = {error for name in types - NO_ERRORS for error in ERRORS_OF_TYPES.get(name) or [LIMITS[name]]}

    assert errors <= known.keys()
    assert {error for error in errors if not has_translation(TEMPLATES.get(error, known[error]), "ru")} == set()
