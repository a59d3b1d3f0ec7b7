"""The language of a response, and its sentences."""

import pytest
from service_kit.errors import FieldError
from service_kit.languages import Language, headers_of, language_of, translated
from service_kit.problems import Problem
from service_kit.texts import sentence


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("*", "en"),
        ("en", "en"),
        ("de, fr;q=0.5", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("en-US,en;q=0.9,ru;q=0.8", "en"),
        ("de, ru;q=0.5, en;q=0.2", "ru"),
        ("ru;q=0", "en"),
        ("\x00;;q=x,,", "en"),
    ],
)
def test_the_preferred_language_is_chosen_and_english_otherwise(accepted: str | None, language: Language) -> None:
    assert language_of(accepted) == language


def test_caches_learn_that_an_answer_depends_on_the_language() -> None:
    assert headers_of("ru") == {"Content-Language": "ru", "Vary": "Accept-Language"}


@pytest.mark.parametrize(
    ("said", "russian"),
    [
        (sentence("There is no key '{key_id}'.", key_id="k1"), "Ключа «k1» нет."),
        ("Not Found", "Не найдено"),
        (sentence("A sentence of a plugin."), "A sentence of a plugin."),
        ("A sentence of a plugin.", "A sentence of a plugin."),
    ],
)
def test_a_sentence_is_translated_if_it_is_in_a_catalog(said: str, russian: str) -> None:
    assert translated(said, "ru") == russian


def test_english_needs_no_catalog() -> None:
    assert translated(sentence("There is no key '{key_id}'.", key_id="k1"), "en") == "There is no key 'k1'."


def test_a_nested_sentence_is_translated_even_in_one_that_is_not() -> None:
    outer = sentence("Step {number}: {reason}", number=2, reason=sentence("should be an integer"))

    assert translated(outer, "ru") == "Step 2: нужно целое число"


def test_a_problem_has_its_title_detail_and_fields_in_russian() -> None:
    detail = sentence("There is no key '{key_id}'.", key_id="k1")
    errors: list[FieldError] = [{"pointer": "/key_id", "detail": detail}]

    document = Problem("key-not-found", 404, detail, errors).document("ru")

    assert document == {
        "type": "urn:pixmill:problem:key-not-found",
        "title": "Не найдено",
        "status": 404,
        "detail": "Ключа «k1» нет.",
        "code": "key-not-found",
        "context": {"key_id": "k1"},
        "errors": [
            {"pointer": "/key_id", "detail": "Ключа «k1» нет.", "code": "key-not-found", "context": {"key_id": "k1"}}
        ],
    }


def test_nothing_is_nothing_in_each_language() -> None:
    assert translated("", "ru") == ""
